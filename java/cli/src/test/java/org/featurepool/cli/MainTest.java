package org.featurepool.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.regex.Pattern;
import org.featurepool.Featurepool;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class MainTest {
  @Test
  void info() {
    String out = Program.run("info").requireSuccess().out();
    String[] patterns = {
      "version +" + Pattern.quote(Featurepool.version()),
      "ABI +" + Featurepool.abiVersion(),
      "library +/.*\\.so",
      "instruction set +[A-Z0-9_]+",
      "threads +[1-9][0-9]*",
      "JVM +.*" + Pattern.quote(Runtime.version().toString()) + ".*"
    };
    String[] lines = out.split("\n");
    assertEquals(patterns.length, lines.length, out);
    for (int i = 0; i < lines.length; i++) {
      assertTrue(lines[i].matches(patterns[i]), lines[i]);
    }
  }

  @Test
  void version() {
    assertEquals(
        "Featurepool " + Featurepool.version() + "\n",
        Program.run("--version").requireSuccess().out());
  }

  @Test
  void helpNamesTheCommands() {
    String out = Program.run("--help").requireSuccess().out();
    for (String command : new String[] {"demo", "pool", "backward", "conformance", "info"}) {
      assertTrue(out.contains("\n  " + command + " "), out);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"pool", "backward"})
  void helpNamesTheOptions(String command) {
    String out = Program.run(command, "--help").requireSuccess().out();
    String[] options = {
      "--op",
      "--kernel",
      "--stride",
      "--pad",
      "--dilation",
      "--ceil",
      "--include-pad",
      "--divisor",
      "--output",
      "--rank",
      "--layout",
      "--threads",
      "--out",
      "--help",
      "Example"
    };
    for (String option : options) {
      assertTrue(out.contains(option), () -> option + " is not in: " + out);
    }
    for (String line : out.split("\n")) {
      assertTrue(line.length() <= 80, line);
    }
  }
}
