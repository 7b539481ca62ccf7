package org.featurepool.cli;

import static org.junit.jupiter.api.Assertions.assertFalse;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The commands in the documents and in the program's own help are such as the program takes: all it
 * finds wrong is that their input is not there.
 */
class DocumentedCommandsTest {
  private static final Pattern COMMAND =
      Pattern.compile(
          "^ *(?:\\./)?featurepool ((?:pool|backward) [^<\\n]*? -o .*)$", Pattern.MULTILINE);

  private static List<String> commands() throws IOException {
    Path root = Path.of(System.getProperty("featurepool.root"));
    StringBuilder text = new StringBuilder(Files.readString(root.resolve("README.md")));
    try (Stream<Path> documents = Files.walk(root.resolve("docs"))) {
      for (Path file :
          (Iterable<Path>) documents.filter(f -> f.toString().endsWith(".md"))::iterator) {
        text.append('\n').append(Files.readString(file));
      }
    }
    text.append('\n').append(Files.readString(root.resolve("featurepool")));
    for (String command : List.of("pool", "backward")) {
      // The synopsis is none that can be run.
      text.append(Program.run(command, "--help").out().replaceFirst("^Usage: [^\\n]*", ""));
    }
    List<String> commands = new ArrayList<>();
    Matcher matcher = COMMAND.matcher(text.toString().replaceAll("\\\\\\n *", ""));
    while (matcher.find()) {
      commands.add(matcher.group(1).replaceFirst(" +#.*", "").strip());
    }
    assertFalse(commands.isEmpty());
    return commands;
  }

  @ParameterizedTest
  @MethodSource("commands")
  void isUnderstood(String command) {
    Program.run((Object[]) command.split(" +")).requireRefusal("does not exist");
  }
}
