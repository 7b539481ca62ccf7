package org.featurepool.cli.operator;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.UUID;
import javax.imageio.ImageIO;
import org.featurepool.cli.UsageException;

/**
 * The files that a command writes: all of them appear, complete, or none does. Each is written
 * under another name beside its place, and all are renamed at the end.
 */
final class Outputs implements AutoCloseable {
  private final Map<Path, Path> places = new LinkedHashMap<>();

  /**
   * Says that a file will be written.
   *
   * @param option its option, for messages
   * @param target where it shall be; an existing file will be replaced
   * @return where to write it, until {@link #commit}
   * @throws UsageException if there can be no such file
   */
  Path add(String option, Path target) {
    requireFile(option, target);
    String suffix = suffix(target);
    if (!suffix.equals("npy") && !ImageIO.getImageWritersBySuffix(suffix).hasNext()) {
      throw new UsageException(
          option
              + " "
              + target
              + " is of no known format; its name must end in .npy or, say, .png");
    }
    return place(option, target, suffix);
  }

  /**
   * Says that a file of one format will be written.
   *
   * @param option its option, for messages
   * @param target where it shall be; an existing file will be replaced
   * @param ending what its name must end in, with the dot
   * @return where to write it, until {@link #commit}
   * @throws UsageException if there can be no such file
   */
  Path add(String option, Path target, String ending) {
    requireFile(option, target);
    String suffix = suffix(target);
    if (!ending.equals("." + suffix)) {
      throw new UsageException(option + " " + target + " must end in " + ending);
    }
    return place(option, target, suffix);
  }

  private static void requireFile(String option, Path target) {
    if (Files.isDirectory(target)) {
      throw new UsageException(option + " " + target + " is a folder; name a file");
    }
    if (Files.exists(target) && !Files.isRegularFile(target)) {
      throw new UsageException(option + " " + target + " is no regular file; name another");
    }
  }

  private Path place(String option, Path target, String suffix) {
    Path place = followed(target).toAbsolutePath();
    Path folder = place.getParent();
    if (!Files.isDirectory(folder)) {
      throw new UsageException(option + " " + target + ": there is no folder " + folder);
    }
    if (!Files.isWritable(folder)) {
      throw new UsageException(option + " " + target + ": folder " + folder + " is not writable");
    }
    if (places.containsValue(place)) {
      throw new UsageException(option + " " + target + " is written already; name another file");
    }
    Path written = folder.resolve(".featurepool-" + UUID.randomUUID() + "." + suffix);
    // An interrupted program, too, leaves nothing behind.
    written.toFile().deleteOnExit();
    places.put(written, place);
    return written;
  }

  private static Path followed(Path target) {
    try {
      return target.toRealPath();
    } catch (IOException e) {
      return target.normalize();
    }
  }

  private static String suffix(Path file) {
    String name = file.getFileName() == null ? "" : file.getFileName().toString();
    int dot = name.lastIndexOf('.');
    return dot < 0 ? "" : name.substring(dot + 1).toLowerCase(Locale.ROOT);
  }

  /** Puts the files in their places; all must have been written. */
  void commit() throws IOException {
    for (Map.Entry<Path, Path> entry : places.entrySet()) {
      Files.move(entry.getKey(), entry.getValue(), StandardCopyOption.ATOMIC_MOVE);
    }
  }

  /** Removes what was written and not committed. */
  @Override
  public void close() throws IOException {
    for (Path written : places.keySet()) {
      Files.deleteIfExists(written);
    }
  }
}
