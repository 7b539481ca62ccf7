package org.featurepool.bindings;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The declarations of featurepool.h, read from its text and so independent of jextract and clang.
 *
 * @param constants value of every macro and enumerator
 * @param functions result and parameter types of every function, the result first
 * @param prototypes every function's declaration in one line, in the manner of {@link #normal}
 * @param structs type of every field of every struct, with its length where it is an array
 */
record CHeader(
    Map<String, Long> constants,
    Map<String, List<String>> functions,
    Set<String> prototypes,
    Map<String, Map<String, String>> structs) {
  private static final Pattern COMMENT = Pattern.compile("/\\*.*?\\*/|//[^\\n]*", Pattern.DOTALL);
  private static final Pattern MACRO =
      Pattern.compile("^#define (FPOOL_\\w+) \\(?(-?\\d+)\\)?\\s*$", Pattern.MULTILINE);
  private static final Pattern ENUM = Pattern.compile("enum\\s*\\{(.*?)}", Pattern.DOTALL);
  private static final Pattern STRUCT =
      Pattern.compile("typedef struct (\\w+)\\s*\\{(.*?)}\\s*\\1;", Pattern.DOTALL);
  private static final Pattern FIELD =
      Pattern.compile("(?:const\\s+)?(\\w+(?:\\s*\\*)?)\\s*\\b(\\w+)(\\[\\d+])?");
  private static final Pattern FUNCTION =
      Pattern.compile(
          "FPOOL_API\\s+([\\w\\s*]+?)\\s*\\b(fpool_\\w+)\\s*\\((.*?)\\)\\s*;", Pattern.DOTALL);
  private static final Pattern PARAMETER = Pattern.compile("(.*?)\\s*\\b\\w+");

  static CHeader read(Path file) throws IOException {
    String text = COMMENT.matcher(Files.readString(file)).replaceAll(" ");
    Map<String, Long> constants = new LinkedHashMap<>();
    each(MACRO, text, m -> constants.put(m.group(1), Long.valueOf(m.group(2))));
    each(
        ENUM,
        text,
        m -> {
          for (String enumerator : m.group(1).split(",")) {
            String[] parts = enumerator.split("=");
            constants.put(parts[0].strip(), Long.valueOf(parts[1].strip()));
          }
        });

    Map<String, Map<String, String>> structs = new LinkedHashMap<>();
    each(
        STRUCT,
        text,
        m -> {
          Map<String, String> fields = new LinkedHashMap<>();
          each(
              FIELD,
              m.group(2),
              f -> fields.put(f.group(2), f.group(1) + (f.group(3) == null ? "" : f.group(3))));
          structs.put(m.group(1), fields);
        });

    Set<String> prototypes = new TreeSet<>();
    Map<String, List<String>> functions = new LinkedHashMap<>();
    each(
        FUNCTION,
        text,
        m -> {
          List<String> types = new ArrayList<>(List.of(m.group(1)));
          if (!m.group(3).strip().equals("void")) {
            for (String parameter : m.group(3).split(",")) {
              Matcher matcher = PARAMETER.matcher(parameter.strip());
              if (!matcher.matches()) {
                throw new IllegalStateException("no parameter: " + parameter);
              }
              types.add(matcher.group(1));
            }
          }
          functions.put(m.group(2), types);
          prototypes.add(normal(m.group(1) + " " + m.group(2) + "(" + m.group(3) + ")"));
        });
    return new CHeader(constants, functions, prototypes, structs);
  }

  /** A declaration without the freedom that C leaves in writing it. */
  static String normal(String declaration) {
    return declaration
        .strip()
        .replaceAll("\\s+", " ")
        .replaceAll(" ?\\* ?", "* ")
        .replace("( ", "(")
        .replace("(void)", "()");
  }

  private static void each(Pattern pattern, String text, Consumer<Matcher> action) {
    Matcher matcher = pattern.matcher(text);
    while (matcher.find()) {
      action.accept(matcher);
    }
  }
}
