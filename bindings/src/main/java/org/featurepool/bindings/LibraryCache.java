package org.featurepool.bindings;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.time.Instant;
import java.util.HexFormat;
import java.util.Set;

/**
 * A folder of extracted libraries, each in a file named by the checksum of its content.
 *
 * <p>A library found there is code that will run, so the folder must belong to this user and be
 * writable by nobody else, and a file is used only if it holds the expected bytes.
 */
final class LibraryCache {
  private static final FileAttribute<Set<PosixFilePermission>> OWNER_ONLY =
      PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------"));

  private static final String PREFIX = "libfeaturepool-";
  private static final String UNFINISHED = ".tmp";

  /** No process takes that long to write a library: one that began earlier was killed. */
  private static final Duration ABANDONED = Duration.ofHours(1);

  private LibraryCache() {}

  /**
   * Returns a file in {@code folder} that holds {@code library}, written if need be.
   *
   * <p>Safe for any number of processes at once: the file appears complete or not at all, and one
   * that another process has loaded is replaced, never written to.
   *
   * @throws IOException if the folder is not safe or the file cannot be written; the message names
   *     the folder and what would help
   */
  static Path extract(PackedLibrary library, Path folder) throws IOException {
    IOException unusable = null;
    try {
      prepare(folder);
      Path file = folder.resolve(PREFIX + library.sha256() + ".so");
      if (Files.exists(file, LinkOption.NOFOLLOW_LINKS)) {
        if (holds(file, library)) {
          return file;
        }
        unusable = new IOException(file + " does not hold the jar's library");
      }
      write(library, file);
      return file;
    } catch (IOException failure) {
      IOException report =
          new IOException(
              String.format(
                  "the jar's library cannot be extracted to the folder %s: %s; name a writable"
                      + " folder of your own with -D%s=FOLDER",
                  folder, NativeLibrary.reason(failure), NativeLibrary.CACHE_PROPERTY),
              failure);
      if (unusable != null) {
        report.addSuppressed(unusable);
      }
      throw report;
    }
  }

  private static void prepare(Path folder) throws IOException {
    if (folder.getParent() != null) {
      Files.createDirectories(folder.getParent());
    }
    try {
      Files.createDirectory(folder, OWNER_ONLY);
      return;
    } catch (FileAlreadyExistsException existing) {
      // Made by an earlier run, or put there by someone else: the checks below tell.
    }
    if (!Files.isDirectory(folder, LinkOption.NOFOLLOW_LINKS)) {
      throw new IOException("it is a symbolic link or a file, not a folder");
    }
    int owner = (Integer) Files.getAttribute(folder, "unix:uid", LinkOption.NOFOLLOW_LINKS);
    int user = Host.userId();
    if (owner != user) {
      throw new IOException(
          String.format("it belongs to user %d, and this process runs as user %d", owner, user));
    }
    Set<PosixFilePermission> permissions = Files.getPosixFilePermissions(folder);
    if (permissions.contains(PosixFilePermission.GROUP_WRITE)
        || permissions.contains(PosixFilePermission.OTHERS_WRITE)) {
      throw new IOException(
          String.format(
              "its permissions %s let other users write to it (chmod 700 would not)",
              PosixFilePermissions.toString(permissions)));
    }
  }

  private static boolean holds(Path file, PackedLibrary library) throws IOException {
    if (!Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)) {
      return false;
    }
    try (InputStream stream = Files.newInputStream(file)) {
      return checksum(stream, OutputStream.nullOutputStream()).equals(library.sha256());
    }
  }

  private static void write(PackedLibrary library, Path file) throws IOException {
    removeAbandoned(file.getParent());
    Path temporary = Files.createTempFile(file.getParent(), PREFIX, UNFINISHED, OWNER_ONLY);
    try {
      String checksum;
      try (InputStream unpacked = library.unpack();
          OutputStream stream = Files.newOutputStream(temporary)) {
        checksum = checksum(unpacked, stream);
      }
      if (!checksum.equals(library.sha256())) {
        throw new IOException("the jar is damaged: its library has the checksum " + checksum);
      }
      Files.move(temporary, file, StandardCopyOption.ATOMIC_MOVE);
    } finally {
      Files.deleteIfExists(temporary);
    }
  }

  /** Removes what processes that were killed while they wrote a library have left. */
  private static void removeAbandoned(Path folder) {
    Instant since = Instant.now().minus(ABANDONED);
    try (DirectoryStream<Path> unfinished =
        Files.newDirectoryStream(folder, PREFIX + "*" + UNFINISHED)) {
      for (Path file : unfinished) {
        if (Files.getLastModifiedTime(file, LinkOption.NOFOLLOW_LINKS)
            .toInstant()
            .isBefore(since)) {
          Files.deleteIfExists(file);
        }
      }
    } catch (IOException | DirectoryIteratorException another) {
      // Another process has removed it, or it stays: it is in nobody's way.
    }
  }

  /** Copies a stream and returns the SHA-256 of its bytes, in hexadecimal. */
  private static String checksum(InputStream from, OutputStream to) throws IOException {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      new DigestInputStream(from, digest).transferTo(to);
      return HexFormat.of().formatHex(digest.digest());
    } catch (NoSuchAlgorithmException impossible) {
      throw new IllegalStateException("every Java platform has SHA-256", impossible);
    }
  }
}
