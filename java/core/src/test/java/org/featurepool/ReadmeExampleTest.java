package org.featurepool;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.tools.JavaCompiler;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;
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
    ChildJvm jvm = new ChildJvm(folder, Map.of());
    compile(Files.writeString(folder.resolve(name.group(1) + ".java"), source), jvm.classPath());
    ChildJvm.Outcome outcome = jvm.run(name.group(1));
    assertEquals(0, outcome.exit(), outcome.output());
  }

  private void compile(Path file, String classPath) throws Exception {
    JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
    StringWriter diagnostics = new StringWriter();
    try (StandardJavaFileManager files = compiler.getStandardFileManager(null, null, null)) {
      List<String> options =
          List.of("-Xlint:all", "-d", folder.toString(), "-classpath", classPath);
      boolean compiled =
          compiler
              .getTask(diagnostics, files, null, options, null, files.getJavaFileObjects(file))
              .call();
      assertTrue(compiled, diagnostics.toString());
    }
    assertEquals("", diagnostics.toString());
  }
}
