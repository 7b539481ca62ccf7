package org.featurepool.bench;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.featurepool.DType;
import org.featurepool.Layout;

/**
 * The matrix of cells: comma-separated, the first line names the columns {@code id, op, direction,
 * layout, dtype, n, c, d, h, w, kernel, stride, pad}, in any order, and maybe {@code against}, the
 * only peers to compare with, as in {@code opencv;onednn}; others are ignored.
 */
final class Matrix {
  // In the order in which a refusal tells them.
  private static final Map<String, Layout> LAYOUTS =
      ordered(Map.entry("nchw", Layout.PLANAR), Map.entry("nhwc", Layout.INTERLEAVED));
  private static final Map<String, DType> DTYPES =
      ordered(
          Map.entry("f32", DType.F32),
          Map.entry("f16", DType.F16),
          Map.entry("bf16", DType.BF16),
          Map.entry("u8", DType.U8),
          Map.entry("i8", DType.I8));

  private Matrix() {}

  @SafeVarargs
  private static <T> Map<String, T> ordered(Map.Entry<String, T>... entries) {
    Map<String, T> map = new LinkedHashMap<>();
    for (Map.Entry<String, T> entry : entries) {
      map.put(entry.getKey(), entry.getValue());
    }
    return map;
  }

  /** Reads the project's own matrix. */
  static List<Cell> own() {
    return resource("matrix.csv");
  }

  /** Reads the cells beside the matrix that are needed to decide what is promised. */
  static List<Cell> targets() {
    return resource("targets.csv");
  }

  private static List<Cell> resource(String name) {
    try (InputStream in = Matrix.class.getResourceAsStream(name)) {
      return parse(new BufferedReader(new InputStreamReader(in, StandardCharsets.UTF_8)));
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  /**
   * Reads a matrix of somebody else's.
   *
   * @throws BadUsage if the file cannot be read or is no matrix
   */
  static List<Cell> read(Path file) {
    try (BufferedReader in = Files.newBufferedReader(file)) {
      return parse(in);
    } catch (NoSuchFileException e) {
      throw new BadUsage("matrix " + file + " does not exist");
    } catch (CharacterCodingException e) {
      throw new BadUsage("matrix " + file + " is no text");
    } catch (IOException e) {
      throw new BadUsage("matrix " + file + " cannot be read: " + e.getMessage());
    } catch (BadUsage e) {
      throw new BadUsage("matrix " + file + ": " + e.getMessage());
    }
  }

  /**
   * Reads a matrix.
   *
   * @throws BadUsage naming the line and column that is not as it should be
   */
  static List<Cell> parse(BufferedReader in) throws IOException {
    List<Cell> cells = new ArrayList<>();
    Set<String> ids = new HashSet<>();
    String[] header = null;
    String line;
    for (int number = 1; (line = in.readLine()) != null; number++) {
      if (line.isBlank()) {
        continue;
      }
      String[] fields = line.split(",", -1);
      if (header == null) {
        header = fields;
        continue;
      }
      Cell cell = new Row(number, header, fields).cell();
      if (!ids.add(cell.id())) {
        throw new BadUsage("line " + number + ": there is another cell " + cell.id());
      }
      cells.add(cell);
    }
    if (cells.isEmpty()) {
      throw new BadUsage("there are no cells");
    }
    return cells;
  }

  /** One line, by the names of its columns. */
  private static final class Row {
    private final int number;
    private final Map<String, String> fields = new HashMap<>();

    Row(int number, String[] header, String[] values) {
      this.number = number;
      if (values.length != header.length) {
        throw new BadUsage(
            "line "
                + number
                + " has "
                + values.length
                + " columns; the first line has "
                + header.length);
      }
      for (int i = 0; i < header.length; i++) {
        fields.put(header[i].strip(), values[i].strip());
      }
    }

    Cell cell() {
      return new Cell(
          text("id"),
          text("op"),
          text("direction"),
          choice("layout", LAYOUTS),
          choice("dtype", DTYPES),
          extent("n"),
          extent("c"),
          extent("d"),
          extent("h"),
          extent("w"),
          text("kernel"),
          text("stride"),
          text("pad"),
          Arrays.stream(fields.getOrDefault("against", "").split(";"))
              .filter(name -> !name.isEmpty())
              .toList());
    }

    private String text(String column) {
      String value = fields.get(column);
      if (value == null) {
        throw new BadUsage("there is no column " + column);
      }
      return value;
    }

    private long extent(String column) {
      try {
        long extent = Long.parseLong(text(column));
        if (extent > 0) {
          return extent;
        }
      } catch (NumberFormatException e) {
        // Told below, like a number that is no extent.
      }
      throw refusal(column, "a whole number, at least 1");
    }

    private <T> T choice(String column, Map<String, T> choices) {
      T choice = choices.get(text(column));
      if (choice == null) {
        throw refusal(column, String.join(" or ", choices.keySet()));
      }
      return choice;
    }

    private BadUsage refusal(String column, String right) {
      return new BadUsage(
          "line " + number + ": " + column + " is '" + text(column) + "'; it must be " + right);
    }
  }
}
