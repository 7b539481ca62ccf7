package org.featurepool.cli.operator;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.foreign.Arena;
import java.nio.channels.Channels;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.ZipEntry;
import java.util.zip.ZipException;
import java.util.zip.ZipFile;
import java.util.zip.ZipOutputStream;
import org.featurepool.Npy;
import org.featurepool.cli.Failure;
import org.featurepool.cli.UsageException;

/** NumPy's {@code .npz} files: ZIP archives of {@code .npy} files, one per named array. */
final class Npz {
  private static final String SUFFIX = ".npy";

  private Npz() {}

  /**
   * Reads some arrays of an archive, as {@code numpy.savez} and {@code numpy.savez_compressed}
   * write it.
   *
   * @param option what names the file, for messages
   * @param names the arrays
   * @throws UsageException if it cannot be read or lacks one of them
   */
  static Map<String, Npy.Array> read(
      Option<Path> option, Path file, List<String> names, Arena arena) {
    Map<String, Npy.Array> arrays = new LinkedHashMap<>();
    try (ZipFile zip = new ZipFile(file.toFile())) {
      for (String name : names) {
        ZipEntry entry = zip.getEntry(name + SUFFIX);
        if (entry == null) {
          throw new UsageException(
              "%s %s has no array %s; it must have %s"
                  .formatted(option, file, name, String.join(", ", names)));
        }
        try (InputStream stream = zip.getInputStream(entry)) {
          arrays.put(name, Npy.read(file + ", array " + name, stream, arena));
        }
      }
    } catch (ZipException e) {
      throw new UsageException(
          "%s %s is no .npz file: %s".formatted(option, file, e.getMessage()), e);
    } catch (IOException e) {
      throw new UsageException(Failure.text(e, file), e);
    }
    return arrays;
  }

  /** Writes arrays as {@code numpy.savez} does, in order. */
  static void write(Path file, Map<String, Npy.Array> arrays) throws IOException {
    try (OutputStream stream = Files.newOutputStream(file);
        ZipOutputStream zip = new ZipOutputStream(stream)) {
      WritableByteChannel channel = Channels.newChannel(zip);
      for (Map.Entry<String, Npy.Array> array : arrays.entrySet()) {
        ZipEntry entry = new ZipEntry(array.getKey() + SUFFIX);
        // The same arrays give the same file; the date is the earliest that the format has.
        entry.setTime(0);
        zip.putNextEntry(entry);
        Npy.write(channel, array.getValue());
        zip.closeEntry();
      }
    }
  }
}
