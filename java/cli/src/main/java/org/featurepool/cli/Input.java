package org.featurepool.cli;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import org.featurepool.DType;
import org.featurepool.Images;
import org.featurepool.Npy;
import org.featurepool.Tensor;

/**
 * An array or a picture that was read.
 *
 * @param tensor its elements
 * @param axes number of axes of the array; a picture counts as an array of 3 (channels, rows and
 *     columns)
 */
record Input(Tensor tensor, int axes) {
  private static final int PICTURE_AXES = 3;
  private static final int PICTURE_RANK = 2;

  /**
   * Reads a file; an array is mapped and not copied.
   *
   * @throws UsageException if it cannot be read, or is no tensor for a window of these options
   */
  static Input read(Path file, PoolingOptions options, Arena arena) {
    if (Files.isDirectory(file)) {
      throw new UsageException(file + " is a folder; name an .npy file or a picture");
    }
    if (!Files.exists(file)) {
      throw new UsageException(file + " does not exist; name an .npy file or a picture");
    }
    try {
      return isArray(file) ? readArray(file, options, arena) : readPicture(file, options, arena);
    } catch (IOException e) {
      throw new UsageException(Failure.text(e, file), e);
    }
  }

  static boolean isArray(Path file) {
    return file.toString().toLowerCase(Locale.ROOT).endsWith(".npy");
  }

  private static Input readArray(Path file, PoolingOptions options, Arena arena)
      throws IOException {
    Npy.Array array = Npy.map(file, arena);
    if (!Pooling.takes(array.dtype())) {
      throw new UsageException(
          "%s holds %s; pooling takes float32 or uint8: save it as array.astype('float32')"
              .formatted(file, name(array.dtype())));
    }
    long[] extents = array.extents();
    return new Input(
        array.toTensor(
            ArrayForm.shape(
                file.toString(), extents, options.rank(), options.kernel(), options.layout())),
        extents.length);
  }

  /** NumPy's name of a type. */
  static String name(DType dtype) {
    return switch (dtype) {
      case F32 -> "float32";
      case F64 -> "float64";
      case F16 -> "float16";
      case BF16 -> "bfloat16";
      case I8 -> "int8";
      case U8 -> "uint8";
      case I32 -> "int32";
      case I64 -> "int64";
    };
  }

  private static Input readPicture(Path file, PoolingOptions options, Arena arena)
      throws IOException {
    if (options.rank() != PICTURE_RANK) {
      throw new UsageException(
          "--kernel %s has %s; that of a picture has 2 (height,width)"
              .formatted(options.kernel(), options.kernel().countText()));
    }
    return new Input(Images.read(file, arena, options.layout()), PICTURE_AXES);
  }
}
