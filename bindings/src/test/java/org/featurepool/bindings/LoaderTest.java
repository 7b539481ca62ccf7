package org.featurepool.bindings;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.MessageDigest;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The loader, each time in a JVM of its own, through the same properties that users set. */
class LoaderTest {
  private static final List<Path> CLASS_PATH = List.of(Tools.CLASSES, Tools.TEST_CLASSES, Tools.XZ);

  @TempDir Path folder;
  private Path cache;

  @BeforeEach
  void nameCache() {
    cache = folder.resolve("cache");
  }

  private static Tools.Run probe(String... options) {
    return Tools.start(Tools.probe(CLASS_PATH, options)).await();
  }

  private Tools.Run probeJar() {
    return probe("-Dfeaturepool.cache=" + cache);
  }

  private static Tools.Run probeFile(Path library) {
    return probe("-Dfeaturepool.library=" + library);
  }

  private static void assertLoaded(Tools.Run run) {
    assertEquals(0, run.exit(), run::output);
    assertTrue(run.output().startsWith("available true\n"), run::output);
    assertTrue(run.output().endsWith("error \n"), run::output);
  }

  /** The JVM lives, the failure says all that is in {@code parts}, and it is kept. */
  private static void assertRefused(Tools.Run run, String... parts) {
    assertEquals(0, run.exit(), run::output);
    assertTrue(run.output().startsWith("available false\n"), run::output);
    // Behind it, what measures coverage complains if it cannot write its file either.
    assertTrue(run.output().contains("same cause true\n"), run::output);
    assertTrue(
        run.output().contains("message java.lang.UnsatisfiedLinkError: Featurepool's native"),
        run::output);
    for (String part : parts) {
      assertTrue(run.output().contains(part), () -> "no '" + part + "' in:\n" + run.output());
    }
  }

  private List<Path> cached() throws IOException {
    try (Stream<Path> files = Files.list(cache)) {
      return files.toList();
    }
  }

  private Path library(String name, byte[] content) throws IOException {
    return Files.write(folder.resolve(name), content);
  }

  private Path fakeLibrary(int abi, int tensorSize) throws IOException {
    String source =
        """
        #include <stdint.h>
        int32_t fpool_abi_version(void) { return %d; }
        int64_t fpool_sizeof_tensor(void) { return %d; }
        """;
    return Tools.compile(
        folder.resolve("libfake.so"), source.formatted(abi, tensorSize), "-shared", "-fPIC");
  }

  @Test
  void theJarsLibraryIsExtractedOnceToAFileNamedByItsChecksum() throws Exception {
    assertLoaded(probeJar());
    byte[] library = Files.readAllBytes(Tools.LIBRARY);
    String checksum =
        HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(library));
    Path file = cache.resolve("libfeaturepool-" + checksum + ".so");
    assertEquals(List.of(file), cached());
    assertArrayEquals(library, Files.readAllBytes(file));
    assertEquals("rwx------", PosixFilePermissions.toString(Files.getPosixFilePermissions(cache)));

    Object inode = Files.getAttribute(file, "unix:ino");
    Tools.Run second = probeJar();
    assertLoaded(second);
    assertTrue(second.lines().contains("path " + file), second::output);
    assertEquals(inode, Files.getAttribute(file, "unix:ino"));
    assertEquals(List.of(file), cached());
  }

  @Test
  void theDefaultFolderIsTheUsersOwnInTheTemporaryFolder() {
    Tools.Run run = probe("-Djava.io.tmpdir=" + folder, "-Duser.name=a/b c");
    assertLoaded(run);
    assertTrue(run.output().contains("path " + folder.resolve("featurepool-a_b_c")), run::output);
  }

  @Test
  void aNamedLibraryIsTakenFirst() throws IOException {
    Path own = library("own.so", Files.readAllBytes(Tools.LIBRARY));
    Tools.Run run = probe("-Dfeaturepool.library=" + own, "-Dfeaturepool.cache=" + cache);
    assertLoaded(run);
    assertTrue(run.lines().contains("path " + own), run::output);
    assertTrue(Files.notExists(cache));
  }

  @Test
  void aMissingLibraryIsRefusedAndTheJarsIsNotTakenInItsPlace() {
    Path missing = folder.resolve("missing.so");
    Tools.Run run = probe("-Dfeaturepool.library=" + missing, "-Dfeaturepool.cache=" + cache);
    assertRefused(run, "featurepool.library names " + missing + ", which is no file");
    assertTrue(Files.notExists(cache));
  }

  @Test
  void aTruncatedLibraryIsRefusedWhereverItEnds() throws IOException {
    byte[] whole = Files.readAllBytes(Tools.LIBRARY);
    for (int size : new int[] {0, 3, 63, 64, 200, whole.length / 2, whole.length - 1}) {
      Path part = library("part.so", Arrays.copyOf(whole, size));
      assertRefused(
          probeFile(part), part.toString(), "it is truncated: it has " + size + " bytes", "cause");
    }
  }

  @Test
  void aFileThatIsNoLibraryIsRefused() throws IOException {
    Path text = Files.writeString(folder.resolve("text.so"), "no library at all. ".repeat(10));
    assertRefused(probeFile(text), text.toString(), "it is no shared library (no ELF file)");
  }

  @Test
  void aProgramIsRefused() throws IOException {
    Path program =
        Tools.compile(folder.resolve("program"), "int main(void) { return 0; }\n", "-no-pie");
    assertRefused(probeFile(program), "it is an ELF file but no shared library");
  }

  @Test
  void aLibraryForAnotherArchitectureIsRefused() throws IOException {
    byte[] bytes = Files.readAllBytes(Tools.LIBRARY);
    bytes[18] = (byte) 183;
    assertRefused(
        probeFile(library("arm.so", bytes)), "it is a library for aarch64, and this is x86_64");
  }

  @Test
  void aLibraryThatLacksItsOwnLibrariesIsRefusedWithTheLoadersReason() throws IOException {
    Path needed =
        Tools.compile(
            folder.resolve("libgone.so"), "int gone(void) { return 1; }\n", "-shared", "-fPIC");
    Path library =
        Tools.compile(
            folder.resolve("libneedy.so"),
            "int gone(void);\nint f(void) { return gone(); }\n",
            "-shared",
            "-fPIC",
            "-L" + folder,
            "-Wl,--no-as-needed",
            "-lgone");
    Files.delete(needed);
    assertRefused(
        probeFile(library),
        "the system's loader refuses it",
        "libgone.so",
        "cause java.lang.UnsatisfiedLinkError");
  }

  @Test
  void aLibraryThatIsNotFeaturepoolIsRefused() throws IOException {
    Path other =
        Tools.compile(
            folder.resolve("other.so"), "int f(void) { return 1; }\n", "-shared", "-fPIC");
    assertRefused(probeFile(other), "it is no Featurepool library: it has no fpool_abi_version");
  }

  @Test
  void anotherAbiVersionIsRefused() throws IOException {
    assertRefused(
        probeFile(fakeLibrary(99, 64)),
        "it is of another version: its ABI version is 99, this binding needs 1");
  }

  @Test
  void anotherDescriptorSizeIsRefused() throws IOException {
    assertRefused(
        probeFile(fakeLibrary(1, 8)),
        "it is of another version: its sizeof(fpool_tensor) is 8, this binding needs 64");
  }

  @Test
  void anUnwritableFolderIsRefused() throws IOException {
    Path file = Files.writeString(folder.resolve("file"), "");
    cache = file.resolve("cache");
    assertRefused(
        probeJar(),
        "cannot be extracted to the folder " + cache,
        "name a writable folder of your own with -Dfeaturepool.cache=FOLDER",
        "cause java.nio.file.");
  }

  @Test
  void aFolderThatOthersMayWriteToIsRefused() throws IOException {
    Files.createDirectory(cache);
    Files.setPosixFilePermissions(cache, PosixFilePermissions.fromString("rwxrwx---"));
    assertRefused(probeJar(), cache.toString(), "rwxrwx--- let other users write to it");
  }

  @Test
  void aFolderOfAnotherUserIsRefused() throws IOException {
    int user = (Integer) Files.getAttribute(folder, "unix:uid");
    if (user == 0) {
      Files.createDirectory(cache);
      Files.setAttribute(cache, "unix:uid", 65534);
    } else {
      cache = Path.of("/usr");
    }
    assertRefused(probeJar(), "it belongs to user ", "this process runs as user " + user);
  }

  @Test
  void aSymbolicLinkIsRefused() throws IOException {
    Files.createSymbolicLink(cache, Files.createDirectory(folder.resolve("target")));
    assertRefused(probeJar(), "it is a symbolic link or a file, not a folder");
  }

  /**
   * Runs a shell script, whose arguments are the command of a probe, where {@code mount} is a file
   * system with the given options.
   */
  private Tools.Run withFileSystem(Path mount, String options, String script) {
    List<String> isolate = List.of("unshare", "--user", "--map-root-user", "--mount", "sh", "-c");
    String mounting = "mount -t tmpfs -o " + options + " tmpfs '" + mount + "'";
    List<String> attempt = new ArrayList<>(isolate);
    attempt.add(mounting);
    assumeTrue(
        Tools.isInstalled("unshare") && Tools.start(attempt).await().exit() == 0,
        "this system lets nobody mount a file system of their own");

    List<String> command = new ArrayList<>(isolate);
    command.add(mounting + " && " + script);
    command.add("sh");
    command.addAll(Tools.probe(CLASS_PATH, "-Dfeaturepool.cache=" + mount.resolve("cache")));
    return Tools.start(command).await();
  }

  @Test
  void aFileSystemWithoutExecutionIsNamedAsTheReason() throws IOException {
    Path mount = Files.createDirectory(folder.resolve("noexec"));
    assertRefused(
        withFileSystem(mount, "noexec", "exec \"$@\""),
        "its file system is mounted noexec",
        "name one on another file system with -Dfeaturepool.cache",
        "cause java.lang.UnsatisfiedLinkError");
  }

  /** The first probe finds no room; it leaves nothing behind, and the second, with room, loads. */
  @Test
  void aFullDiskIsToldAndOnceThereIsRoomAllIsWell() throws IOException {
    Path mount = Files.createDirectory(folder.resolve("full"));
    String script =
        "\"$@\"; ls -A '%1$s/cache' | sed 's/^/left /'; mount -o remount,size=64m '%1$s'; exec \"$@\"";
    Tools.Run run = withFileSystem(mount, "size=256k", script.formatted(mount));
    int second = run.output().lastIndexOf("available ");
    assertTrue(second > 0, run::output);
    assertRefused(
        new Tools.Run(0, run.output().substring(0, second)),
        "cannot be extracted to the folder " + mount.resolve("cache"),
        "No space left on device",
        "name a writable folder of your own with -Dfeaturepool.cache=FOLDER");
    assertLoaded(new Tools.Run(run.exit(), run.output().substring(second)));
  }

  /** As with a full disk, at every block of the library that may be the first without room. */
  @ParameterizedTest
  @ValueSource(ints = {0, 1, 100, 1000})
  void aLimitOfTheSizeOfFilesIsTold(int blocks) throws IOException {
    List<String> command =
        new ArrayList<>(List.of("sh", "-c", "ulimit -f " + blocks + " && exec \"$@\"", "sh"));
    // The JVM's own file of counters would be the first that has no room.
    command.addAll(Tools.probe(CLASS_PATH, "-Dfeaturepool.cache=" + cache, "-XX:-UsePerfData"));
    assertRefused(
        Tools.start(command).await(),
        "cannot be extracted to the folder " + cache,
        "File too large",
        "name a writable folder of your own with -Dfeaturepool.cache=FOLDER");
    assertEquals(List.of(), cached());
    assertLoaded(probeJar());
  }

  /** Killed at random points of its start, most of them while the library is written. */
  @Test
  void aProcessKilledDuringExtractionIsNoHarmToTheNext() throws Exception {
    long seed = Long.getLong("featurepool.test.seed", System.nanoTime());
    SplittableRandom random = new SplittableRandom(seed);
    int during = 0;
    for (int i = 0; i < 8; i++) {
      cache = folder.resolve("cache" + i);
      Tools.Running killed = Tools.start(Tools.probe(CLASS_PATH, "-Dfeaturepool.cache=" + cache));
      while (killed.process().isAlive() && (Files.notExists(cache) || cached().isEmpty())) {
        Thread.onSpinWait();
      }
      long end = System.nanoTime() + random.nextLong(15_000_000);
      while (System.nanoTime() < end) {
        Thread.onSpinWait();
      }
      killed.process().destroyForcibly().waitFor();
      List<Path> left = cached();
      during += left.stream().anyMatch(file -> file.toString().endsWith(".so")) ? 0 : 1;
      Tools.Run next = probeJar();
      assertTrue(next.output().startsWith("available true\n"), () -> seed + ": " + next.output());
      assertLoaded(next);
    }
    System.out.println("killed during extraction: " + during + " of 8, all others after it");
  }

  @Test
  void whatKilledProcessesHaveLeftIsRemoved() throws IOException {
    assertLoaded(probeJar());
    Path library = cached().getFirst();
    Files.delete(library);
    Path abandoned = Files.createFile(library.resolveSibling("libfeaturepool-1.tmp"));
    Path underWay = Files.createFile(library.resolveSibling("libfeaturepool-2.tmp"));
    Path other = Files.createFile(library.resolveSibling("notes.tmp"));
    FileTime twoHoursAgo = FileTime.from(Instant.now().minus(Duration.ofHours(2)));
    Files.setLastModifiedTime(abandoned, twoHoursAgo);
    Files.setLastModifiedTime(other, twoHoursAgo);
    assertLoaded(probeJar());
    assertEquals(Set.of(library, underWay, other), Set.copyOf(cached()));
  }

  @Test
  void aDamagedExtractedFileIsReplaced() throws IOException {
    assertLoaded(probeJar());
    Path file = cached().getFirst();
    byte[] whole = Files.readAllBytes(file);

    try (RandomAccessFile damaged = new RandomAccessFile(file.toFile(), "rw")) {
      damaged.setLength(whole.length / 2);
    }
    assertLoaded(probeJar());
    assertArrayEquals(whole, Files.readAllBytes(file));

    byte[] flipped = whole.clone();
    flipped[whole.length / 3] ^= 1;
    Files.write(file, flipped);
    assertLoaded(probeJar());
    assertArrayEquals(whole, Files.readAllBytes(file));
    assertEquals(List.of(file), cached());
  }

  @Test
  void aFileThatCannotBeReplacedIsAmongTheCauses() throws IOException {
    assertLoaded(probeJar());
    Path file = cached().getFirst();
    Files.delete(file);
    // A folder with content cannot be replaced by a rename, whoever the user is.
    Files.createDirectories(file.resolve("content"));
    assertRefused(
        probeJar(),
        "cannot be extracted to the folder " + cache,
        "suppressed java.io.IOException: " + file + " does not hold the jar's library",
        "cause java.nio.file.FileSystemException");
    assertEquals(List.of(file), cached());
  }

  @Test
  void severalJvmsAtOnceExtractTheSameFile() throws IOException {
    List<Tools.Running> probes = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      probes.add(Tools.start(Tools.probe(CLASS_PATH, "-Dfeaturepool.cache=" + cache)));
    }
    for (Tools.Running probe : probes) {
      assertLoaded(probe.await());
    }
    assertEquals(1, cached().size(), () -> "more than the library");
    assertArrayEquals(Files.readAllBytes(Tools.LIBRARY), Files.readAllBytes(cached().getFirst()));
  }

  @Test
  void anUnsupportedPlatformIsToldWhichThereAre() {
    assertRefused(
        probe("-Dos.arch=riscv64"),
        "the jar has no library for linux-riscv64, only for "
            + String.join(", ", PackedLibrary.platforms()),
        "-Dfeaturepool.library=FILE");
  }

  @Test
  void deniedNativeAccessIsToldApart() {
    List<String> command =
        Tools.java(CLASS_PATH, "--illegal-native-access=deny", "-Dfeaturepool.cache=" + cache);
    assertRefused(
        Tools.start(command).await(),
        "--enable-native-access=org.featurepool.bindings",
        "cause java.lang.IllegalCallerException");
  }

  @Test
  void aDamagedJarIsToldApart() throws IOException {
    Path classes = folder.resolve("classes");
    Path packed = Path.of("org/featurepool/bindings/linux-x86_64/libfeaturepool.so.xz");
    Path copy = classes.resolve(packed);
    Files.createDirectories(copy.getParent());
    byte[] bytes = Files.readAllBytes(Tools.CLASSES.resolve(packed));
    for (int position : new int[] {0, bytes.length / 2, bytes.length - 1}) {
      byte[] damaged = bytes.clone();
      damaged[position] ^= 1;
      Files.write(copy, damaged);
      List<Path> classPath = new ArrayList<>(List.of(classes));
      classPath.addAll(CLASS_PATH);
      assertRefused(
          Tools.start(Tools.probe(classPath, "-Dfeaturepool.cache=" + cache)).await(),
          "cannot be extracted to the folder " + cache,
          "cause org.tukaani.xz.");
      assertEquals(List.of(), cached());
    }
  }
}
