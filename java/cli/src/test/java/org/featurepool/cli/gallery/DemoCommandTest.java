package org.featurepool.cli.gallery;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.featurepool.cli.UsageException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;

class DemoCommandTest {
  private static final Pattern TAG =
      Pattern.compile("<(/?)([a-zA-Z][a-zA-Z0-9]*)((?:\"[^\"]*\"|[^<>\"])*?)(/?)>");
  private static final Set<String> VOID = Set.of("meta", "img", "br");

  @TempDir private Path folder;

  /** What a run of the command has left behind. */
  private record Run(int exit, String printed, Exception refused) {}

  private static Run run(Object... arguments) {
    DemoCommand demo = new DemoCommand();
    StringWriter printed = new StringWriter();
    Exception[] refused = new Exception[1];
    CommandLine command = new CommandLine(demo);
    command.setOut(new PrintWriter(printed));
    command.setExecutionExceptionHandler(
        (e, line, result) -> {
          refused[0] = e;
          return 2;
        });
    int exit = command.execute(Stream.of(arguments).map(Object::toString).toArray(String[]::new));
    return new Run(exit, printed.toString(), refused[0]);
  }

  private String pageOf(Run run) throws IOException {
    assertEquals(0, run.exit(), () -> run.printed() + run.refused());
    Path page = folder.resolve("out/index.html");
    try (Stream<Path> files = Files.list(page.getParent())) {
      assertEquals(List.of(page), files.toList(), "one file and no temporary ones");
    }
    String[] lines = run.printed().split("\\R");
    assertEquals(page.toString(), lines[0]);
    assertTrue(lines[1].matches("(\\d+) of \\1 checks passed"), lines[1]);
    String html = Files.readString(page);
    assertSelfContained(html);
    assertWellFormed(html);
    return html;
  }

  private static void assertSelfContained(String html) {
    Matcher source = Pattern.compile("\\b(src|href|srcset|data|action)=\"([^\"]*)\"").matcher(html);
    int pictures = 0;
    while (source.find()) {
      String target = source.group(2);
      boolean picture = target.startsWith("data:image/png;base64,");
      assertTrue(
          picture || target.startsWith("#"),
          () -> "refers to " + target.substring(0, Math.min(60, target.length())));
      pictures += picture ? 1 : 0;
    }
    assertTrue(pictures > 10, "pictures are embedded");
    for (String foreign :
        List.of("<link", "<script", "<iframe", "@import", "url(", "http:", "https:")) {
      assertFalse(html.contains(foreign), foreign);
    }
  }

  private static void assertWellFormed(String html) {
    assertTrue(html.startsWith("<!DOCTYPE html>"));
    Deque<String> open = new ArrayDeque<>();
    Matcher tag = TAG.matcher(html);
    while (tag.find()) {
      String name = tag.group(2);
      if (tag.group(1).equals("/")) {
        assertEquals(open.pop(), name, () -> "closes at " + html.substring(0, 80));
      } else if (tag.group(4).isEmpty() && !VOID.contains(name)) {
        open.push(name);
      }
    }
    assertEquals(List.of(), List.copyOf(open), "all elements are closed");
    assertFalse(html.contains("${"), "all places of the templates are filled");
    Set<String> targets = all(html, "id=\"([^\"]*)\"");
    assertTrue(targets.containsAll(all(html, "href=\"#([^\"]*)\"")), "all links lead somewhere");
  }

  private static Set<String> all(String html, String pattern) {
    return Pattern.compile(pattern)
        .matcher(html)
        .results()
        .map(found -> found.group(1))
        .collect(Collectors.toSet());
  }

  @Test
  void sampleGallery() throws IOException {
    String html = pageOf(run("--out", folder.resolve("out")));
    assertTrue(html.contains("name=\"viewport\""), "fits a phone");
    assertTrue(html.contains("prefers-color-scheme: dark"));
    for (String number :
        List.of(
            // Article 002: input, output, gradients, mask.
            "\u22120.170",
            "1.875",
            "2.615",
            "\u22121.074",
            "1, 9, 10, 18, 14, 17, 25, 26, 29",
            // Article 003, max and average at strides 2 and 1.
            "0.1111",
            "0.1600",
            "0.0278",
            "0.0100",
            // Article 001, 000 and 004.
            "0.25",
            "64×64 becomes 1x1x32x32",
            "4×3×16×16 becomes 4x3x8x8")) {
      assertTrue(html.contains(number), number);
    }
    for (String section :
        List.of("windows", "maxima", "gradients", "examples", "shift", "times", "checks")) {
      assertTrue(html.contains("id=\"" + section + "\""), section);
    }
    assertTrue(html.contains("GB/s"));
    for (Family family : Family.values()) {
      for (Exhibit exhibit : family.exhibits()) {
        assertTrue(html.contains("<a href=\"#op-" + exhibit.id() + "\">"), exhibit.id());
        assertTrue(html.contains("<h3>" + exhibit.title() + "</h3>"), exhibit.title());
      }
    }
  }

  @ParameterizedTest
  @ValueSource(
      ints = {
        BufferedImage.TYPE_INT_RGB,
        BufferedImage.TYPE_BYTE_GRAY,
        BufferedImage.TYPE_INT_ARGB
      })
  void tinyPictures(int type) throws IOException {
    Path picture = picture(type, 5, 7);
    String html = pageOf(run("--out", folder.resolve("out"), "--image", picture));
    assertTrue(html.contains("5 × 7 pixels"));
    boolean gray = type == BufferedImage.TYPE_BYTE_GRAY;
    assertTrue(html.contains(gray ? "1 channel" : "3 channels"));
    assertEquals(type == BufferedImage.TYPE_INT_ARGB, html.contains("alpha channel is left out"));
  }

  @Test
  void onePixel() throws IOException {
    Path picture = picture(BufferedImage.TYPE_INT_RGB, 1, 1);
    String html = pageOf(run("--out", folder.resolve("out"), "--image", picture));
    assertTrue(html.contains("windows are larger than this picture"));
  }

  @Test
  void onePlainColor() throws IOException {
    BufferedImage plain = new BufferedImage(80, 60, BufferedImage.TYPE_INT_RGB);
    Path file = folder.resolve("plain.png");
    assertTrue(ImageIO.write(plain, "png", file.toFile()));
    String html = pageOf(run("--out", folder.resolve("out"), "--image", file));
    assertTrue(html.contains("too small or too plain"));
  }

  @Test
  void photograph() throws IOException {
    String shared = System.getProperty("featurepool.shared", System.getenv("FEATUREPOOL_SHARED"));
    assumeTrue(shared != null, "featurepool.shared names no folder");
    Path picture = Path.of(shared, "images", "chelsea.png");
    String html = pageOf(run("--out", folder.resolve("out"), "--image", picture));
    assertTrue(html.contains("451 × 300 becomes 225 × 150"));
  }

  @Test
  void namesAreEscaped() throws IOException {
    Path picture = picture(BufferedImage.TYPE_INT_RGB, 9, 9);
    Path odd = Files.move(picture, folder.resolve("a<b>&\".png"));
    String html = pageOf(run("--out", folder.resolve("out"), "--image", odd));
    assertTrue(html.contains("<h3>a&lt;b&gt;&amp;&quot;.png</h3>"));
  }

  @Test
  void existingGalleryIsReplaced() throws IOException {
    Path out = Files.createDirectory(folder.resolve("out"));
    Files.writeString(out.resolve("index.html"), "old");
    Path picture = picture(BufferedImage.TYPE_BYTE_GRAY, 12, 10);
    assertTrue(pageOf(run("--out", out, "--image", picture)).contains("12 × 10 pixels"));
  }

  @Test
  void failedCheckIsToldAndEndsWithOne() {
    DemoCommand demo = new DemoCommand();
    StringWriter printed = new StringWriter();
    CommandLine command = new CommandLine(demo);
    command.setOut(new PrintWriter(printed));
    Gallery gallery =
        new Gallery(
            "", List.of(new Check("max", true, "equal"), new Check("mask", false, "3 not 4")));
    assertEquals(1, demo.report(Path.of("index.html"), gallery));
    assertTrue(printed.toString().contains("1 of 2 checks passed"));
    assertTrue(printed.toString().contains("FAILED mask: 3 not 4"));
  }

  @Test
  void missingPicture() {
    assertRefused("gone.png does not exist", "--image", folder.resolve("gone.png"));
  }

  @Test
  void folderAsPicture() {
    assertRefused("--image " + folder, "--image", folder);
  }

  @Test
  void noPicture() throws IOException {
    Path text = Files.writeString(folder.resolve("letter.png"), "Dear reader");
    assertRefused("letter.png", "--image", text);
  }

  @Test
  void truncatedPicture() throws IOException {
    byte[] bytes = Files.readAllBytes(picture(BufferedImage.TYPE_INT_RGB, 40, 40));
    Path half = Files.write(folder.resolve("half.png"), Arrays.copyOf(bytes, 200));
    assertRefused("half.png", "--image", half);
  }

  @Test
  void emptyPicture() throws IOException {
    assertRefused("empty.png", "--image", Files.createFile(folder.resolve("empty.png")));
  }

  private void assertRefused(String message, Object... arguments) {
    Object[] all =
        Stream.concat(Stream.of("--out", folder.resolve("out")), Stream.of(arguments)).toArray();
    assertUsage(message, run(all));
    assertFalse(Files.exists(folder.resolve("out")), "no output");
  }

  private static void assertUsage(String message, Run run) {
    assertEquals(2, run.exit());
    assertInstanceOf(UsageException.class, run.refused());
    assertTrue(run.refused().getMessage().contains(message), run.refused().getMessage());
    assertEquals("", run.printed());
  }

  @Test
  void outIsAFile() throws IOException {
    Path file = Files.writeString(folder.resolve("notes.txt"), "mine");
    assertUsage("notes.txt is no folder", run("--out", file));
    assertUsage("notes.txt is no folder", run("--out", file.resolve("below")));
    assertEquals("mine", Files.readString(file));
  }

  @Test
  void pageIsAFolder() throws IOException {
    Files.createDirectories(folder.resolve("out/index.html"));
    assertUsage("index.html in it is a folder", run("--out", folder.resolve("out")));
  }

  @Test
  void outIsNotWritable() throws IOException {
    Path locked = Files.createDirectory(folder.resolve("locked"));
    assertTrue(locked.toFile().setWritable(false));
    try {
      assumeTrue(!Files.isWritable(locked), "the superuser may write anywhere");
      assertUsage("is not writable", run("--out", locked.resolve("out")));
    } finally {
      assertTrue(locked.toFile().setWritable(true));
    }
  }

  private Path picture(int type, int width, int height) throws IOException {
    BufferedImage image = new BufferedImage(width, height, type);
    Random random = new Random(42);
    for (int y = 0; y < height; y++) {
      for (int x = 0; x < width; x++) {
        image.setRGB(x, y, 0xFF000000 | random.nextInt(0x1000000));
      }
    }
    Path file = folder.resolve("picture.png");
    assertTrue(ImageIO.write(image, "png", file.toFile()));
    return file;
  }
}
