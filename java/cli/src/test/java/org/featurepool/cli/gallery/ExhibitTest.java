package org.featurepool.cli.gallery;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class ExhibitTest {
  private static final Pattern PICTURE = Pattern.compile("data:image/png;base64,([^\"]*)\"");
  private static final Pattern NUMBER = Pattern.compile("<td[^>]*>[^<]+</td>");

  static List<Exhibit> exhibits() {
    return Arrays.stream(Family.values()).flatMap(family -> family.exhibits().stream()).toList();
  }

  @ParameterizedTest
  @MethodSource("exhibits")
  void showsNumbersAndPicturesThatAreRight(Exhibit exhibit) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      Scene scene = Scene.of(Picture.sample(arena), arena);
      Stage stage = new Stage(exhibit.title(), scene, arena);
      String article = exhibit.article(stage).markup();
      assertTrue(article.contains("id=\"op-" + exhibit.id() + "\""));
      assertFalse(stage.checks().isEmpty(), "something is checked");
      for (Check check : stage.checks()) {
        assertTrue(check.passed(), check::toString);
        assertTrue(check.subject().startsWith(exhibit.title() + ": "), check.subject());
      }
      assertTrue(NUMBER.matcher(article).find(), "there are numbers to follow");
      Matcher picture = PICTURE.matcher(article);
      int pictures = 0;
      boolean detailed = false;
      while (picture.find()) {
        byte[] png = Base64.getDecoder().decode(picture.group(1));
        detailed |= colors(ImageIO.read(new ByteArrayInputStream(png))) > 16;
        pictures++;
      }
      assertTrue(pictures >= 2, "there are pictures");
      assertTrue(detailed, "a picture shows something");
    }
  }

  private static long colors(BufferedImage image) {
    int width = image.getWidth();
    return IntStream.of(
            image.getRGB(
                0, 0, width, image.getHeight(), new int[width * image.getHeight()], 0, width))
        .distinct()
        .count();
  }

  @ParameterizedTest
  @MethodSource("exhibits")
  void namesAClassOfTheLibrary(Exhibit exhibit) {
    assertDoesNotThrow(() -> Class.forName("org.featurepool." + exhibit.api()));
  }

  @Test
  void everyOperatorIsShown() {
    Set<String> operators =
        Set.of(
            "MaxPool",
            "MinPool",
            "AvgPool",
            "LpPool",
            "GemPool",
            "MedianPool",
            "StochasticPool",
            "MixedPool",
            "GlobalPool",
            "AdaptivePool",
            "FractionalMaxPool",
            "SpatialPyramidPool",
            "SppBlock",
            "RoiPool",
            "RoiAlign",
            "MaxUnpool",
            "AvgUnpool",
            "BilinearPool",
            "NetVlad");
    assertEquals(operators, exhibits().stream().map(Exhibit::api).collect(Collectors.toSet()));
  }

  @ParameterizedTest
  @MethodSource("exhibits")
  void namesADocument(Exhibit exhibit) {
    // Tests run in the folder of their module.
    Path document = Path.of("../../docs/operators", exhibit.document() + ".md");
    assertTrue(Files.isRegularFile(document), document::toString);
  }

  @Test
  void namesAreUnique() {
    List<String> ids = exhibits().stream().map(Exhibit::id).toList();
    assertEquals(ids.stream().distinct().toList(), ids);
    assertEquals(ids.size(), Family.count());
  }

  @Test
  void aStageFindsWrongValues() {
    try (Arena arena = Arena.ofConfined()) {
      Stage stage = new Stage("test", Scene.of(Picture.sample(arena), arena), arena);
      stage.equal("right", new double[] {1, 2}, new float[] {1, 2});
      stage.close("nearly", new double[] {1, 2}, new float[] {1, 2.00001f});
      stage.equal("off", new double[] {1, 2}, new float[] {1, Math.nextUp(2f)});
      stage.close("wrong", new double[] {1, 2}, new float[] {1, 2.0001f});
      stage.close("no number", new double[] {1, 2}, new float[] {1, Float.NaN});
      stage.equal("short", new double[] {1, 2}, new float[] {1});
      assertEquals(
          List.of(true, true, false, false, false, false),
          stage.checks().stream().map(Check::passed).toList());
      assertEquals("value 1 is 2.0001 instead of 2.0", stage.checks().get(3).detail());
    }
  }

  @Test
  void rulesHaveTheSlopesOfTheirValues() {
    double[] taps = {1, 3, 4, 2, 2.5};
    for (Rule rule :
        List.of(
            Rule.MAX,
            Rule.MIN,
            Rule.MEDIAN,
            Rule.MEAN,
            Rule.EXPECTATION,
            Rule.lp(1),
            Rule.lp(3),
            Rule.generalisedMean(3, 1e-6),
            Rule.mixed(0.3))) {
      double[] slopes = rule.slopes().apply(taps);
      for (int i = 0; i < taps.length; i++) {
        double[] up = taps.clone();
        double[] down = taps.clone();
        up[i] += 1e-6;
        down[i] -= 1e-6;
        double slope = (rule.value().applyAsDouble(up) - rule.value().applyAsDouble(down)) / 2e-6;
        assertEquals(slope, slopes[i], 1e-7);
      }
    }
  }

  @Test
  void tapsAreThoseOfTheFormulas() {
    assertEquals("[[0, 1], [1, 2, 3], [3, 4]]", Arrays.deepToString(Taps.bins(5, 3)));
    assertEquals("[[0], [0, 1], [1]]", Arrays.deepToString(Taps.bins(2, 3)));
    Taps padded = Taps.windows(3, 3, 3, 2, 1);
    assertEquals("[0, 1, 3, 4]", Arrays.toString(padded.of(0)));
    assertEquals("[4, 5, 7, 8]", Arrays.toString(padded.of(3)));
  }
}
