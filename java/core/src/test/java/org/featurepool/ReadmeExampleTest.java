package org.featurepool;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.StringWriter;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.tools.JavaCompiler;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;
import org.featurepool.bindings.NativeLibrary;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The README's Java example compiles and runs as it stands there. */
class ReadmeExampleTest {
  private static final Pattern JAVA_BLOCK =
      Pattern.compile("^```java\\R(.*?)^```$", Pattern.MULTILINE | Pattern.DOTALL);
  private static final Pattern CLASS = Pattern.compile("class\\s+(\\w+)");

  @TempDir private Path folder;

  @Test
  void exampleRuns() throws Exception {
    Path readme = Path.of(System.getProperty("featurepool.root"), "README.md");
    Matcher block = JAVA_BLOCK.matcher(Files.readString(readme));
    assertTrue(block.find(), readme + " has no block of Java code");
    String source = block.group(1);
    Matcher name = CLASS.matcher(source);
    assertTrue(name.find(), "the example in " + readme + " has no class");
    Path file = Files.writeString(folder.resolve(name.group(1) + ".java"), source);
    String classPath =
        String.join(
            File.pathSeparator,
            List.of(place(MaxPool.class), place(NativeLibrary.class), folder.toString()));

    JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
    StringWriter diagnostics = new StringWriter();
    try (StandardJavaFileManager files = compiler.getStandardFileManager(null, null, null)) {
      boolean compiled =
          compiler
              .getTask(
                  diagnostics,
                  files,
                  null,
                  List.of("-Xlint:all", "-d", folder.toString(), "-classpath", classPath),
                  null,
                  files.getJavaFileObjects(file))
              .call();
      assertTrue(compiled, diagnostics.toString());
    }
    assertEquals("", diagnostics.toString());

    Path output = folder.resolve("output.txt");
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-native-access=ALL-UNNAMED",
                "-classpath",
                classPath,
                name.group(1))
            .directory(folder.toFile())
            .redirectErrorStream(true)
            .redirectOutput(output.toFile())
            .start();
    boolean ended = process.waitFor(60, TimeUnit.SECONDS);
    process.destroyForcibly();
    assertTrue(ended, "the example did not end");
    assertEquals(0, process.exitValue(), Files.readString(output));
  }

  /** The folder or jar that a class was loaded from. */
  private static String place(Class<?> type) throws URISyntaxException {
    return Path.of(
            type.getModule().getLayer() == null
                ? type.getProtectionDomain().getCodeSource().getLocation().toURI()
                : type.getModule()
                    .getLayer()
                    .configuration()
                    .findModule(type.getModule().getName())
                    .orElseThrow()
                    .reference()
                    .location()
                    .orElseThrow())
        .toString();
  }
}
