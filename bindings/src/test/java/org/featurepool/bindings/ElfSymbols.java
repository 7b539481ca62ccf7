package org.featurepool.bindings;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.TreeSet;

/** Reads the names that a 64-bit little-endian ELF library exports. */
final class ElfSymbols {
  private static final int DYNAMIC_SYMBOLS = 11;
  private static final int SYMBOL_SIZE = 24;

  private ElfSymbols() {}

  static Set<String> exported(Path library) throws IOException {
    ByteBuffer file = ByteBuffer.wrap(Files.readAllBytes(library)).order(ByteOrder.LITTLE_ENDIAN);
    int sections = (int) file.getLong(40);
    int sectionSize = file.getShort(58);
    Set<String> names = new TreeSet<>();
    for (int i = 0; i < file.getShort(60); i++) {
      int section = sections + i * sectionSize;
      if (file.getInt(section + 4) == DYNAMIC_SYMBOLS) {
        int symbols = (int) file.getLong(section + 24);
        int end = symbols + (int) file.getLong(section + 32);
        int strings = (int) file.getLong(sections + file.getInt(section + 40) * sectionSize + 24);
        for (int symbol = symbols; symbol < end; symbol += SYMBOL_SIZE) {
          boolean defined = file.getShort(symbol + 6) != 0;
          boolean local = file.get(symbol + 4) >> 4 == 0;
          if (defined && !local) {
            names.add(string(file, strings + file.getInt(symbol)));
          }
        }
      }
    }
    return names;
  }

  private static String string(ByteBuffer file, int start) {
    int end = start;
    while (file.get(end) != 0) {
      end++;
    }
    return new String(file.array(), start, end - start, StandardCharsets.UTF_8);
  }
}
