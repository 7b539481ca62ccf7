package org.featurepool.cli.operator;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Set;
import org.featurepool.DType;
import org.featurepool.Images;
import org.featurepool.Layout;
import org.featurepool.Npy;
import org.featurepool.Tensor;
import org.featurepool.cli.Failure;
import org.featurepool.cli.UsageException;

/**
 * An array or a picture that was read.
 *
 * @param tensor its elements
 * @param axes number of axes of the array; a picture counts as an array of 3 (channels, rows and
 *     columns)
 * @param converted whether the samples of a picture, 0 to 255, were made float32 for an operator
 *     that does not take bytes
 */
record Input(Tensor tensor, int axes, boolean converted) {
  private static final int PICTURE_AXES = 3;
  private static final int PICTURE_RANK = 2;

  /**
   * Reads a file; an array is mapped and not copied.
   *
   * @param name what the command calls it, for messages
   * @param spatial the axes that are pooled along
   * @param types the types that an array may have
   * @throws UsageException if it cannot be read, or is no tensor of such axes and types
   */
  static Input read(
      String name, Path file, Axes spatial, Set<DType> types, Layout layout, Arena arena) {
    if (!isArray(file)) {
      return readPicture(file, spatial, types, layout, arena);
    }
    Npy.Array array = readArray(name, file, arena);
    requireType(name, file, array, types);
    long[] extents = array.extents();
    return new Input(
        array.toTensor(ArrayForm.shape(file.toString(), extents, spatial, layout)),
        extents.length,
        false);
  }

  static boolean isArray(Path file) {
    return file.toString().toLowerCase(Locale.ROOT).endsWith(".npy");
  }

  /**
   * Maps an array.
   *
   * @param name what the command calls it, for messages
   * @throws UsageException if it cannot be read
   */
  static Npy.Array readArray(String name, Path file, Arena arena) {
    if (!isArray(file)) {
      throw new UsageException("%s %s must be an .npy file".formatted(name, file));
    }
    requireFile(file);
    try {
      return Npy.map(file, arena);
    } catch (IOException e) {
      throw new UsageException(Failure.text(e, file), e);
    }
  }

  /**
   * Checks the type of an array.
   *
   * @throws UsageException if it is none of {@code types}
   */
  static void requireType(String name, Path file, Npy.Array array, Set<DType> types) {
    if (!types.contains(array.dtype())) {
      throw new UsageException(
          "%s %s holds %s; it must hold %s: save it as array.astype('%s')"
              .formatted(
                  name,
                  file,
                  Types.name(array.dtype()),
                  Types.names(types),
                  Types.name(types.iterator().next())));
    }
  }

  private static void requireFile(Path file) {
    if (Files.isDirectory(file)) {
      throw new UsageException(file + " is a folder; name an .npy file or a picture");
    }
    if (!Files.exists(file)) {
      throw new UsageException(file + " does not exist; name an .npy file or a picture");
    }
  }

  private static Input readPicture(
      Path file, Axes spatial, Set<DType> types, Layout layout, Arena arena) {
    requireFile(file);
    if (spatial.rank() != PICTURE_RANK) {
      throw new UsageException(
          "%s is for %d spatial axes; a picture has 2 (height,width)"
              .formatted(spatial.source(), spatial.rank()));
    }
    Tensor bytes;
    try {
      bytes = Images.read(file, arena, layout);
    } catch (IOException e) {
      throw new UsageException(Failure.text(e, file), e);
    }
    if (types.contains(DType.U8)) {
      return new Input(bytes, PICTURE_AXES, false);
    }
    Tensor floats = Tensor.allocate(arena, DType.F32, bytes.shape());
    MemorySegment from = bytes.segment();
    for (long i = 0; i < from.byteSize(); i++) {
      int sample = Byte.toUnsignedInt(from.get(ValueLayout.JAVA_BYTE, i));
      floats.segment().setAtIndex(ValueLayout.JAVA_FLOAT, i, sample);
    }
    return new Input(floats, PICTURE_AXES, true);
  }

  /** The elements of a float32 tensor as bytes, rounded half to even, into the range of a byte. */
  static Tensor toBytes(Tensor floats, Arena arena) {
    Tensor bytes = Tensor.allocate(arena, DType.U8, floats.shape());
    MemorySegment to = bytes.segment();
    for (long i = 0; i < to.byteSize(); i++) {
      float value = floats.segment().getAtIndex(ValueLayout.JAVA_FLOAT, i);
      to.set(ValueLayout.JAVA_BYTE, i, (byte) (int) Math.clamp(Math.rint(value), 0.0, 255.0));
    }
    return bytes;
  }

  /** Positions as masks are written. */
  static Tensor widened(Tensor positions, Arena arena) {
    Tensor wide = Tensor.allocate(arena, DType.I64, positions.shape());
    for (long i = 0; i < positions.shape().elementCount(); i++) {
      int position = positions.segment().getAtIndex(ValueLayout.JAVA_INT, i);
      wide.segment().setAtIndex(ValueLayout.JAVA_LONG, i, position);
    }
    return wide;
  }

  /** Makes {@code tensor} a result with as many axes as this input has. */
  Pooling.Extra like(Tensor tensor) {
    return file -> ArrayForm.write(file, tensor, ArrayForm.extents(tensor.shape(), axes));
  }
}
