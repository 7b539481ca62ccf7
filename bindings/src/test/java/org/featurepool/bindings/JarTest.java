package org.featurepool.bindings;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The jar as it is published, and the libraries in it. */
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

  private static final Pattern LIBRARY =
      Pattern.compile("org/featurepool/bindings/([^/]+)/libfeaturepool\\.so\\.xz");

  @TempDir Path folder;

  /** By platform. */
  private final Map<String, Path> libraries = new TreeMap<>();

  @BeforeEach
  void extract() throws IOException {
    try (ZipFile jar = new ZipFile(JAR.toFile())) {
      for (ZipEntry entry : Collections.list(jar.entries())) {
        Matcher name = LIBRARY.matcher(entry.getName());
        if (name.matches()) {
          Path packed = folder.resolve(name.group(1) + ".so.xz");
          try (InputStream stream = jar.getInputStream(entry)) {
            Files.copy(stream, packed);
          }
          libraries.put(name.group(1), Tools.unpack(packed, folder.resolve(name.group(1) + ".so")));
        }
      }
    }
  }

  @Test
  void itHasTheLibraryOfThisPlatform() {
    assertTrue(libraries.containsKey(Host.platform()), libraries::toString);
  }

  @Test
  void itIsSmall() throws IOException {
    long size = Files.size(JAR);
    assertTrue(size <= MAX_SIZE, () -> JAR + " has " + size + " bytes; at most " + MAX_SIZE);
  }

  @Test
  void itsLibrariesNeedNothingButGlibc() {
    libraries.forEach(
        (platform, library) -> {
          Set<String> needed =
              Tools.require("readelf", "-dW", library.toString()).lines().stream()
                  .map(NEEDED::matcher)
                  .filter(matcher -> matcher.find())
                  .map(matcher -> matcher.group(1))
                  .collect(Collectors.toCollection(TreeSet::new));
          assertTrue(needed.contains("libc.so.6"), () -> platform + ": " + needed);
          needed.removeAll(GLIBC);
          assertEquals(Set.of(), needed, platform);
        });
  }

  @Test
  void itsLibrariesNeedNoNewerGlibcThanStated() {
    libraries.forEach(
        (platform, library) -> {
          int newest =
              GLIBC_VERSION
                  .matcher(Tools.require("objdump", "-T", library.toString()).output())
                  .results()
                  .mapToInt(match -> Integer.parseInt(match.group(1)))
                  .max()
                  .orElseThrow();
          assertTrue(newest <= LEAST_GLIBC, () -> platform + " needs glibc 2." + newest);
        });
  }

  @Test
  void itsLibraryFindsAllThatItNeeds() {
    Tools.Run run = Tools.require("ldd", libraries.get(Host.platform()).toString());
    assertTrue(!run.output().contains("not found"), run::output);
  }

  @Test
  void itsLibrariesExportOnlyTheInterface() throws IOException {
    Set<String> declared = new TreeSet<>(CHeader.read(Tools.HEADER).functions().keySet());
    libraries.forEach(
        (platform, library) -> {
          Set<String> exported =
              Tools.require("nm", "-D", "--defined-only", library.toString()).lines().stream()
                  .map(line -> line.substring(line.lastIndexOf(' ') + 1))
                  .collect(Collectors.toCollection(TreeSet::new));
          assertEquals(declared, exported, platform);
        });
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
