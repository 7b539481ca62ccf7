package org.featurepool.cli.gallery;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.util.List;
import org.featurepool.DType;
import org.featurepool.Shape;
import org.featurepool.Tensor;
import org.junit.jupiter.api.Test;

class PageTest {

  @Test
  void templatesEscapeWhatIsNoMarkup() {
    Html html =
        Html.fill(
            "<p>${plain} ${markup} ${list}</p>",
            "plain",
            "a < b & \"c\" $1 ${markup}",
            "markup",
            new Html("<b>x</b>"),
            "list",
            List.of(new Html("<i>1</i>"), ">"));
    assertEquals(
        "<p>a &lt; b &amp; &quot;c&quot; $1 ${markup} <b>x</b> <i>1</i>&gt;</p>", html.markup());
  }

  @Test
  void templateWithoutAValueIsAnError() {
    assertThrows(IllegalArgumentException.class, () -> Html.fill("${a}${b}", "a", 1));
  }

  @Test
  void sampleIsTheSameEveryTime() {
    assertEquals(SamplePicture.draw().toDataUri(), SamplePicture.draw().toDataUri());
  }

  @Test
  void shrinkingKeepsTheMean() {
    float[] values = new float[64 * 48];
    for (int i = 0; i < values.length; i++) {
      values[i] = i % 7;
    }
    Field field = new Field(64, 48, values);
    Field small = field.shrunk(16);
    assertEquals(16, small.width());
    assertEquals(12, small.height());
    assertEquals(field.sum() / values.length, small.sum() / (16 * 12), 1e-4);
    assertEquals(field, field.shrunk(64));
    Field line = new Field(3000, 1, new float[3000]).shrunk(100);
    assertEquals(1, line.height());
  }

  @Test
  void largePicturesAreEmbeddedSmall() {
    try (Arena arena = Arena.ofConfined()) {
      Tensor large = Tensor.allocate(arena, DType.F32, Shape.nchw(1, 3, 1200, 1800));
      Raster raster = Picture.whole(large, 512);
      assertEquals(512, raster.width());
      assertEquals(341, raster.height());
    }
  }

  @Test
  void veryLargePicturesAreMadeSmallerFirst() {
    try (Arena arena = Arena.ofConfined()) {
      Tensor decoded = Tensor.allocate(arena, DType.U8, Shape.nchw(1, 1, 1600, 2500));
      Picture picture = Picture.decoded("large", decoded, arena);
      long pixels = (long) picture.width() * picture.height();
      assertTrue(pixels <= Picture.MOST_PIXELS && pixels > 0.99 * Picture.MOST_PIXELS);
      assertEquals(2500.0 / 1600, (double) picture.width() / picture.height(), 0.01);
      assertTrue(picture.note().contains("2500 × 1600"));

      Tensor line = Tensor.allocate(arena, DType.U8, Shape.nchw(1, 1, 1_600_000, 1));
      assertEquals(1, Picture.decoded("line", line, arena).width());
    }
  }

  @Test
  void detailsOfTheOutputLieInsideIt() {
    try (Arena arena = Arena.ofConfined()) {
      Tensor decoded = Tensor.allocate(arena, DType.U8, Shape.nchw(1, 1, 61, 83));
      Picture picture = Picture.decoded("gray", decoded, arena);
      for (WindowCase window : WindowCase.all(61, 83)) {
        Field.Crop crop = picture.detailOf(window);
        assertTrue(crop.x() >= 0 && crop.y() >= 0, window.formula());
        assertTrue(crop.x() + crop.width() <= window.columns(83).output(), window.formula());
        assertTrue(crop.y() + crop.height() <= window.rows(61).output(), window.formula());
      }
    }
  }

  @Test
  void colorMapsEndAtTheirStops() {
    assertEquals(0x0B0A1A, ColorMap.HEAT.at(0));
    assertEquals(0xFCFDBF, ColorMap.HEAT.at(1));
    assertEquals(0xFCFDBF, ColorMap.HEAT.at(7));
    assertEquals(0x0B0A1A, ColorMap.HEAT.at(Double.NaN));
    assertEquals(0xF4F2EE, ColorMap.SIGNED.at(0.5));
    assertArrayEquals(
        new int[] {0x000000, 0x808080, 0xFFFFFF},
        new int[] {
          ColorMap.mix(0, 0xFFFFFF, 0), ColorMap.mix(0, 0xFFFFFF, 0.5), ColorMap.mix(0, 0xFFFFFF, 1)
        });
  }
}
