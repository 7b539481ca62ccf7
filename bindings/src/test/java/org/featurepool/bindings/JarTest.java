package org.featurepool.bindings;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.zip.ZipFile;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The jar as it is published, and the library in it. */
class JarTest {
  private static final Path JAR = Path.of(System.getProperty("featurepool.bindings.jar"));
  private static final long MAX_SIZE = 3L * 1024 * 1024;
  private static final Pattern NEEDED = Pattern.compile("\\(NEEDED\\).*\\[(.*)]");
  private static final Pattern GLIBC_VERSION = Pattern.compile("\\(GLIBC_2\\.(\\d+)[.\\d]*\\)");

  /**
   * The second number of the glibc that the library makes do with, 2.35: of Debian 12 and Ubuntu
   * 22.04, whose compilers' runtime asks for no less.
   */
  private static final int LEAST_GLIBC = 35;

  private static final Set<String> GLIBC =
      Set.of("libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1");

  @TempDir Path folder;
  private Path library;

  @BeforeEach
  void extract() throws IOException {
    Path packed = folder.resolve("libfeaturepool.so.xz");
    try (ZipFile jar = new ZipFile(JAR.toFile());
        InputStream stream =
            jar.getInputStream(
                jar.getEntry("org/featurepool/bindings/linux-x86_64/libfeaturepool.so.xz"))) {
      Files.copy(stream, packed);
    }
    library = Tools.unpack(packed, folder.resolve("libfeaturepool.so"));
  }

  @Test
  void itIsSmall() throws IOException {
    long size = Files.size(JAR);
    assertTrue(size <= MAX_SIZE, () -> JAR + " has " + size + " bytes; at most " + MAX_SIZE);
  }

  @Test
  void itsLibraryNeedsNothingButGlibc() {
    Set<String> needed =
        Tools.require("readelf", "-dW", library.toString()).lines().stream()
            .map(NEEDED::matcher)
            .filter(matcher -> matcher.find())
            .map(matcher -> matcher.group(1))
            .collect(Collectors.toCollection(TreeSet::new));
    assertTrue(needed.contains("libc.so.6"), needed::toString);
    needed.removeAll(GLIBC);
    assertEquals(Set.of(), needed);
  }

  @Test
  void itsLibraryNeedsNoNewerGlibcThanStated() {
    int newest =
        GLIBC_VERSION
            .matcher(Tools.require("objdump", "-T", library.toString()).output())
            .results()
            .mapToInt(match -> Integer.parseInt(match.group(1)))
            .max()
            .orElseThrow();
    assertTrue(newest <= LEAST_GLIBC, () -> "it needs glibc 2." + newest);
  }

  @Test
  void itsLibraryFindsAllThatItNeeds() {
    Tools.Run run = Tools.require("ldd", library.toString());
    assertTrue(!run.output().contains("not found"), run::output);
  }

  @Test
  void itsLibraryExportsOnlyTheInterface() throws IOException {
    Set<String> exported =
        Tools.require("nm", "-D", "--defined-only", library.toString()).lines().stream()
            .map(line -> line.substring(line.lastIndexOf(' ') + 1))
            .collect(Collectors.toCollection(TreeSet::new));
    assertEquals(new TreeSet<>(CHeader.read(Tools.HEADER).functions().keySet()), exported);
  }

  @Test
  void itsLibraryLoadsFromIt() {
    Tools.Run run =
        Tools.start(
                Tools.probe(
                    List.of(JAR, Tools.TEST_CLASSES, Tools.XZ),
                    "-Dfeaturepool.cache=" + folder.resolve("cache")))
            .await();
    assertTrue(run.output().startsWith("available true\n"), run::output);
  }
}
