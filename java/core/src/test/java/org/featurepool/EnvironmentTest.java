package org.featurepool;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What users meet when the environment or the library is wrong: an exception, in every call. */
class EnvironmentTest {
  /** Prints, line by line, what each of its calls came to. */
  private static final String PROBE =
      """
      import java.lang.foreign.Arena;
      import org.featurepool.*;

      public class Probe {
        static void print(java.util.concurrent.Callable<?> call) {
          try {
            System.out.println(call.call());
          } catch (Throwable thrown) {
            System.out.println(thrown);
          }
        }

        public static void main(String[] arguments) {
          try (Arena arena = Arena.ofConfined()) {
            Tensor x = Tensor.of(arena, Shape.ncw(1, 1, 4), new float[] {1, 2, 3, 4});
            print(Featurepool::isAvailable);
            print(() -> MaxPool.of(Window.line(4)).forward(x, arena).get(0, 0, 0));
            print(() -> AvgPool.of(Window.line(4)).forward(x, arena).get(0, 0, 0));
            print(Featurepool::activeIsa);
            print(Featurepool::threads);
          }
        }
      }
      """;

  @TempDir private Path folder;

  private String[] probe(Map<String, String> environment, String... options) throws Exception {
    Path source = Files.writeString(folder.resolve("Probe.java"), PROBE);
    String[] arguments = Arrays.copyOf(options, options.length + 1);
    arguments[options.length] = source.toString();
    ChildJvm.Outcome outcome = new ChildJvm(folder, environment).run(arguments);
    assertEquals(0, outcome.exit(), outcome.output());
    String[] lines = outcome.output().split("\n");
    assertEquals(5, lines.length, outcome.output());
    return lines;
  }

  @Test
  void allIsWell() throws Exception {
    String[] lines = probe(Map.of("FEATUREPOOL_THREADS", "3"));
    assertEquals("true", lines[0]);
    assertEquals("4.0", lines[1]);
    assertEquals("2.5", lines[2]);
    assertEquals("3", lines[4]);
  }

  /** Lines 1 and 2 are of calls that pool, 3 of the instruction set and 4 of the threads. */
  @ParameterizedTest
  @CsvSource({
    "FEATUREPOOL_MAX_ISA, 1 2 3",
    "FEATUREPOOL_KERNEL, 1 2",
    "FEATUREPOOL_LEAST_SHARED_BYTES, 1 2",
    "FEATUREPOOL_THREADS, 1 2 4"
  })
  void unknownValuesAreErrors(String variable, String refused) throws Exception {
    String[] lines = probe(Map.of(variable, "nonsense"));
    for (String line : refused.split(" ")) {
      String refusal = lines[Integer.parseInt(line)];
      assertTrue(
          refusal.startsWith("java.lang.IllegalStateException: ")
              && refusal.contains(variable)
              && refusal.contains("nonsense"),
          line + ": " + refusal);
    }
  }

  @Test
  void noLibrary() throws Exception {
    String[] lines = probe(Map.of(), "-Dfeaturepool.library=" + folder.resolve("none.so"));
    assertEquals("false", lines[0]);
    for (int i = 1; i < lines.length; i++) {
      assertTrue(
          lines[i].startsWith("java.lang.UnsatisfiedLinkError: ") && lines[i].contains("none.so"),
          lines[i]);
    }
  }
}
