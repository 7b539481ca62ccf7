package org.featurepool.cli;

import java.io.PrintWriter;
import java.util.concurrent.Callable;
import org.featurepool.Featurepool;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** What runs here. */
@Command(
    name = "info",
    description = "Version, library file, active instruction set, threads.",
    footer = {
      "",
      "FEATUREPOOL_MAX_ISA caps the instruction set, FEATUREPOOL_THREADS sets the threads."
    })
final class InfoCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Override
  public Integer call() {
    PrintWriter out = spec.commandLine().getOut();
    line(out, "version", Featurepool.version());
    line(out, "ABI", Featurepool.abiVersion());
    line(out, "library", Featurepool.libraryPath());
    line(out, "instruction set", Featurepool.activeIsa());
    line(out, "threads", Featurepool.threads());
    line(
        out,
        "JVM",
        "%s %s, %s"
            .formatted(
                System.getProperty("java.vm.name"),
                Runtime.version(),
                System.getProperty("java.vendor")));
    out.flush();
    return 0;
  }

  private static void line(PrintWriter out, String name, Object value) {
    out.printf("%-16s %s%n", name, value);
  }
}
