package org.featurepool.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class MainTest {
  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  private int run(String... arguments) {
    return Main.run(new PrintWriter(out, true), new PrintWriter(err, true), arguments);
  }

  @ParameterizedTest
  @CsvSource({
    "--threads zero, --threads is 'zero'; it must be a number from 1 to 1024 or all",
    "--threads 0, --threads is '0'; it must be a number from 1 to 1024 or all",
    "--filter nothing_of_the_kind, no cell of the matrix contains that",
    "--matrix absent.csv, matrix absent.csv does not exist",
    "--bogus, --bogus",
    "--json x.json --overhead, --json cannot be given with --overhead",
    "--jmh --bogus, bogus",
  })
  void badUsageIsOneLine(String arguments, String message) {
    assertEquals(2, run(arguments.split(" ")), arguments);
    assertEquals("", out.toString());
    assertEquals(1, err.toString().lines().count(), err.toString());
    assertTrue(err.toString().replace(", or", " or").contains(message), err.toString());
    assertFalse(Files.exists(Path.of("x.json")));
  }

  @Test
  void helpListsTheOptions() {
    assertEquals(0, run("--help"));
    for (String option : List.of("--quick", "--filter", "--json", "--threads", "--matrix")) {
      assertTrue(out.toString().contains(option), out.toString());
    }
  }

  @Test
  void measuresACellAndTellsOfAMissingOne(@TempDir Path folder) throws IOException {
    assumeTrue(
        LimitLibrary.isAvailable(),
        "the native build is without the limit library; FEATUREPOOL_BENCHMARKS adds it");
    Path matrix =
        Files.writeString(
            folder.resolve("matrix.csv"),
            """
            id,op,direction,layout,dtype,n,c,d,h,w,kernel,stride,pad,from
            small,max,forward,nchw,f32,1,2,1,8,8,2x2,2x2,0x0,x
            later,dropout,forward,nchw,f32,1,2,1,8,8,3x3,1x1,1x1,x
            """);
    Path json = folder.resolve("out.json");
    int status =
        run("--quick", "--matrix", matrix.toString(), "--json", json.toString(), "--threads", "2");
    assertEquals(0, status, err.toString());
    assertTrue(out.toString().contains("later: missing, there is no dropout forward"));
    assertTrue(out.toString().contains("MaxPool.forward allocates 0.000 bytes per call"));
    List<String> lines = Files.readAllLines(json);
    List<String> contenders =
        List.of("limit", "java-loop", "vector-api", "featurepool", "featurepool-alloc");
    boolean bothThreads = Runtime.getRuntime().availableProcessors() > 1;
    assertEquals(contenders.size() + (bothThreads ? 1 : 0), lines.size());
    for (int i = 0; i < contenders.size(); i++) {
      assertTrue(
          lines
              .get(i)
              .matches(
                  "\\{\"cell\":\"small\",\"contender\":\""
                      + contenders.get(i)
                      + "\",\"threads\":2,\"us\":[0-9.E-]+,\"gbps\":[0-9.E-]+,"
                      + "\"limit_us\":[0-9.E-]+,\"speedup_vs_best_peer\":[0-9.E-]+}"),
          lines.get(i));
    }
    if (bothThreads) {
      assertTrue(
          lines
              .getLast()
              .matches(
                  "\\{\"cell\":\"small\",\"contender\":\"featurepool\",\"threads\":1,"
                      + "\"us\":[0-9.E-]+,\"gbps\":[0-9.E-]+}"),
          lines.getLast());
    }
    assertTrue(out.toString().contains("\ntarget 1: "), out.toString());
    assertTrue(out.toString().contains("\ntarget 12: "), out.toString());
  }
}
