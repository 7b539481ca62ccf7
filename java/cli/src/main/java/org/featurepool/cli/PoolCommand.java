package org.featurepool.cli;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.featurepool.DType;
import org.featurepool.Images;
import org.featurepool.Npy;
import org.featurepool.Shape;
import org.featurepool.Tensor;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Pools an array or a picture. */
@Command(
    name = "pool",
    description = "Pool an .npy array or a picture.",
    footer = {
      "",
      "Arrays hold float32 or uint8. Their axes are CW or NCW for a kernel of one",
      "value, HW, CHW or NCHW for two, DHW, CDHW or NCDHW for three; with --layout",
      "nhwc WC or NWC, HW, HWC or NHWC, DHW, DHWC or NDHWC. The output has as many.",
      "A picture counts as CHW, or HWC. The mask holds the position of each maximum in",
      "its plane, row*W + column, or -1 for a window without a valid element.",
      "",
      "Examples:",
      "  featurepool pool photo.png -o half.png --op avg --kernel 2,2",
      "  featurepool pool x.npy -o y.npy --op max --kernel 3,3 --stride 2,2 \\",
      "      --pad 1,1,1,1 --mask-out mask.npy",
      "  featurepool pool video.npy -o out.npy --op max --kernel 2,3,3 --pad same_upper"
    })
final class PoolCommand implements Callable<Integer> {
  @Parameters(index = "0", paramLabel = "IN", description = "An .npy file or a picture.")
  private Path in;

  @Option(
      names = {"-o", "--out"},
      required = true,
      paramLabel = "OUT",
      description = "The result: an .npy file, or a picture where IN holds uint8.")
  private Path out;

  @Mixin private PoolingOptions options;

  @Option(
      names = "--mask-out",
      paramLabel = "M.npy",
      description = "max: where in its plane each maximum was, as int64.")
  private Path maskOut;

  @Override
  public Integer call() throws IOException {
    Pooling pooling = options.pooling();
    if (maskOut != null && !(pooling instanceof Pooling.Max)) {
      throw new UsageException("--mask-out goes with --op max; an average has no positions");
    }
    if (maskOut != null && !Input.isArray(maskOut)) {
      throw new UsageException("--mask-out " + maskOut + " must end in .npy");
    }
    try (Outputs outputs = new Outputs();
        Arena arena = Arena.ofConfined()) {
      Path written = outputs.add("-o", out);
      Path writtenMask = maskOut == null ? null : outputs.add("--mask-out", maskOut);
      Input input = Input.read(in, options, arena);
      Tensor x = input.tensor();
      Shape shape = pooling.window().outputShape(x.shape());
      if (!Input.isArray(out)) {
        requirePicture(x.dtype(), shape);
      }
      Tensor y = Tensor.allocate(arena, x.dtype(), shape);
      if (maskOut != null && pooling instanceof Pooling.Max max) {
        Tensor indices = Tensor.allocate(arena, DType.I64, shape);
        Parts.forEach("pool", part -> max.forward(part[0], part[1], part[2]), x, y, indices);
        writeArray(writtenMask, indices, input.axes());
      } else {
        Parts.forEach("pool", part -> pooling.forward(part[0], part[1]), x, y);
      }
      if (Input.isArray(out)) {
        writeArray(written, y, input.axes());
      } else {
        writePicture(written, y);
      }
      outputs.commit();
    }
    return 0;
  }

  private void requirePicture(DType dtype, Shape shape) {
    long channels = shape.channels();
    if (dtype != DType.U8
        || shape.spatialRank() != 2
        || shape.batch() != 1
        || (channels != 1 && channels != 3 && channels != 4)) {
      throw new UsageException(
          "-o %s cannot hold %s %s; a picture is uint8 of 1 image with 1, 3 or 4 channels: use .npy"
              .formatted(out, Input.name(dtype), shape));
    }
  }

  private void writePicture(Path file, Tensor tensor) throws IOException {
    try {
      Images.write(file, tensor);
    } catch (IllegalArgumentException e) {
      // Not every format holds every number of channels.
      throw new UsageException(e.getMessage().replace(file.toString(), "-o " + out), e);
    }
  }

  static void writeArray(Path file, Tensor tensor, int axes) throws IOException {
    Npy.write(file, tensor.dtype(), ArrayForm.extents(tensor.shape(), axes), tensor.segment());
  }
}
