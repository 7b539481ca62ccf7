package org.featurepool.bindings;

import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
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
  static Path extract(byte[] library, Path folder) throws IOException {
    IOException unusable = null;
    try {
      prepare(folder);
      Path file = folder.resolve("libfeaturepool-" + sha256(library) + ".so");
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

  private static boolean holds(Path file, byte[] library) throws IOException {
    return Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)
        && Files.size(file) == library.length
        && Arrays.equals(Files.readAllBytes(file), library);
  }

  private static void write(byte[] library, Path file) throws IOException {
    Path temporary = Files.createTempFile(file.getParent(), "libfeaturepool-", ".tmp", OWNER_ONLY);
    try {
      Files.write(temporary, library);
      Files.move(temporary, file, StandardCopyOption.ATOMIC_MOVE);
    } finally {
      Files.deleteIfExists(temporary);
    }
  }

  private static String sha256(byte[] bytes) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    } catch (NoSuchAlgorithmException impossible) {
      throw new IllegalStateException("every Java platform has SHA-256", impossible);
    }
  }
}
