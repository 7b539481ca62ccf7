package org.featurepool.bindings;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.lang.foreign.AddressLayout;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.GroupLayout;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemoryLayout.PathElement;
import java.lang.foreign.PaddingLayout;
import java.lang.foreign.SequenceLayout;
import java.lang.foreign.ValueLayout;
import java.lang.reflect.Method;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.featurepool.bindings.ffi.featurepool_h;
import org.featurepool.bindings.ffi.fpool_average;
import org.featurepool.bindings.ffi.fpool_bilinear;
import org.featurepool.bindings.ffi.fpool_fractional;
import org.featurepool.bindings.ffi.fpool_netvlad;
import org.featurepool.bindings.ffi.fpool_pyramid;
import org.featurepool.bindings.ffi.fpool_roi;
import org.featurepool.bindings.ffi.fpool_spp_block;
import org.featurepool.bindings.ffi.fpool_stochastic;
import org.featurepool.bindings.ffi.fpool_tensor;
import org.featurepool.bindings.ffi.fpool_window;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The generated binding is that of the header, and of the library that travels with it. */
class BindingTest {
  private static final String DESCRIPTOR = "$descriptor";

  private static final Path GENERATED =
      Tools.MODULE.resolve("src/main/java/org/featurepool/bindings/ffi");

  private static final Map<String, GroupLayout> STRUCTS =
      Map.of(
          "fpool_tensor", fpool_tensor.layout(),
          "fpool_window", fpool_window.layout(),
          "fpool_average", fpool_average.layout(),
          "fpool_pyramid", fpool_pyramid.layout(),
          "fpool_spp_block", fpool_spp_block.layout(),
          "fpool_stochastic", fpool_stochastic.layout(),
          "fpool_fractional", fpool_fractional.layout(),
          "fpool_roi", fpool_roi.layout(),
          "fpool_bilinear", fpool_bilinear.layout(),
          "fpool_netvlad", fpool_netvlad.layout());

  private static CHeader header;

  @BeforeAll
  static void load() throws IOException {
    header = CHeader.read(Tools.HEADER);
    NativeLibrary.verifyAvailable();
  }

  @Test
  void theHeaderWasUnderstood() {
    // Guards the other tests: a parser that finds nothing would let everything pass.
    assertTrue(header.functions().size() >= 15, () -> "functions: " + header.functions());
    assertTrue(header.constants().size() >= 31, () -> "constants: " + header.constants());
    assertEquals(List.of("fpool_status", "int32_t"), header.functions().get("fpool_set_threads"));
    assertEquals("int64_t[5]", header.structs().get("fpool_tensor").get("extents"));
  }

  @Test
  void theLibraryExportsTheHeadersFunctionsAndNothingElse() throws IOException {
    assertEquals(
        new TreeSet<>(header.functions().keySet()),
        ElfSymbols.exported(NativeLibrary.libraryPath()));
  }

  @Test
  void theBindingHasTheHeadersFunctionsWithTheirTypes() throws ReflectiveOperationException {
    Map<String, List<String>> expected = new TreeMap<>();
    header
        .functions()
        .forEach(
            (name, types) ->
                expected.put(name, types.stream().map(BindingTest::javaType).toList()));

    Map<String, List<String>> actual = new TreeMap<>();
    for (Method method : featurepool_h.class.getMethods()) {
      if (method.getName().endsWith(DESCRIPTOR)) {
        FunctionDescriptor descriptor = (FunctionDescriptor) method.invoke(null);
        List<String> types = new ArrayList<>();
        types.add(javaType(descriptor.returnLayout().orElseThrow()));
        descriptor.argumentLayouts().forEach(layout -> types.add(javaType(layout)));
        actual.put(
            method.getName().substring(0, method.getName().length() - DESCRIPTOR.length()), types);
      }
    }
    assertEquals(expected, actual);
  }

  @Test
  void theBindingWasGeneratedFromTheHeadersPrototypes() throws IOException {
    // All pointers are alike to the linker; only the names tell that two have changed places.
    Set<String> actual =
        Files.readAllLines(GENERATED.resolve("featurepool_h.java")).stream()
            .map(line -> line.replaceFirst("^ *\\* ", ""))
            .filter(line -> line.matches("[a-z].* \\*?fpool_\\w+\\(.*\\)"))
            .map(CHeader::normal)
            .collect(Collectors.toCollection(TreeSet::new));
    assertEquals(header.prototypes(), actual);
  }

  @Test
  void theBindingHasTheHeadersConstants() throws ReflectiveOperationException {
    Map<String, Long> actual = new TreeMap<>();
    for (Method method : featurepool_h.class.getMethods()) {
      if (method.getName().startsWith("FPOOL_")) {
        actual.put(method.getName(), ((Number) method.invoke(null)).longValue());
      }
    }
    assertEquals(new TreeMap<>(header.constants()), actual);
  }

  @Test
  void theBindingHasTheHeadersFields() {
    assertEquals(header.structs().keySet(), STRUCTS.keySet());
    STRUCTS.forEach(
        (name, layout) -> {
          Map<String, String> expected = new LinkedHashMap<>();
          header.structs().get(name).forEach((field, type) -> expected.put(field, javaType(type)));
          Map<String, String> actual = new LinkedHashMap<>();
          layout.memberLayouts().stream()
              .filter(member -> !(member instanceof PaddingLayout))
              .forEach(member -> actual.put(member.name().orElseThrow(), javaType(member)));
          assertEquals(List.copyOf(expected.entrySet()), List.copyOf(actual.entrySet()), name);
        });
  }

  @Test
  void sizesAreThoseOfTheLibrary() {
    assertEquals(featurepool_h.fpool_sizeof_tensor(), fpool_tensor.sizeof());
    assertEquals(featurepool_h.fpool_sizeof_window(), fpool_window.sizeof());
    assertEquals(featurepool_h.fpool_sizeof_average(), fpool_average.sizeof());
    assertEquals(featurepool_h.fpool_sizeof_pyramid(), fpool_pyramid.sizeof());
    assertEquals(featurepool_h.fpool_sizeof_spp_block(), fpool_spp_block.sizeof());
    assertEquals(featurepool_h.fpool_sizeof_stochastic(), fpool_stochastic.sizeof());
    assertEquals(featurepool_h.fpool_sizeof_bilinear(), fpool_bilinear.sizeof());
    assertEquals(featurepool_h.fpool_sizeof_netvlad(), fpool_netvlad.sizeof());
    assertEquals(featurepool_h.fpool_abi_version(), featurepool_h.FPOOL_ABI_VERSION());
  }

  @Test
  void offsetsAndConstantsAreThoseOfTheCCompiler(@TempDir Path folder) throws IOException {
    List<String> expected = new ArrayList<>();
    StringBuilder source = new StringBuilder();
    source.append(
        "#include <featurepool/featurepool.h>\n#include <stddef.h>\n#include <stdio.h>\n");
    source.append("int main(void) {\n");
    STRUCTS.forEach(
        (name, layout) -> {
          expected.add("sizeof " + name + " " + layout.byteSize());
          source.append(print("sizeof " + name, "sizeof(" + name + ")"));
          header
              .structs()
              .get(name)
              .forEach(
                  (field, type) -> {
                    long offset = layout.byteOffset(PathElement.groupElement(field));
                    expected.add(name + "." + field + " " + offset);
                    source.append(
                        print(name + "." + field, "offsetof(" + name + ", " + field + ")"));
                  });
        });
    header
        .constants()
        .forEach(
            (name, value) -> {
              expected.add(name + " " + value);
              source.append(print(name, name));
            });
    source.append("  return 0;\n}\n");

    Path include = Tools.HEADER.getParent().getParent();
    Path program = Tools.compile(folder.resolve("offsets"), source.toString(), "-I" + include);
    assertEquals(expected, Tools.require(program.toString()).lines());
  }

  private static String print(String label, String expression) {
    return "  printf(\"" + label + " %lld\\n\", (long long)(" + expression + "));\n";
  }

  /** What old programs were compiled against; the other tests say that the library is so. */
  private static List<String> snapshot() {
    List<String> lines = new ArrayList<>();
    lines.add("The C interface of Featurepool, version " + featurepool_h.FPOOL_ABI_VERSION());
    lines.add("");
    header.prototypes().forEach(lines::add);
    new TreeMap<>(STRUCTS)
        .forEach(
            (name, layout) -> {
              lines.add("");
              lines.add("struct " + name + ", " + layout.byteSize() + " bytes");
              header
                  .structs()
                  .get(name)
                  .forEach(
                      (field, type) ->
                          lines.add(
                              "%5d %s %s"
                                  .formatted(
                                      layout.byteOffset(PathElement.groupElement(field)),
                                      type,
                                      field)));
            });
    lines.add("");
    new TreeMap<>(header.constants()).forEach((name, value) -> lines.add(name + " = " + value));
    return lines;
  }

  /**
   * A change of the interface is one of {@code docs/abi}, so that none goes unnoticed. One that old
   * programs do not survive (anything but an addition) needs another FPOOL_ABI_VERSION, too.
   */
  @Test
  void theInterfaceIsTheOneOnRecord() throws IOException {
    Path record =
        Tools.MODULE.resolve("../docs/abi/version-" + featurepool_h.FPOOL_ABI_VERSION() + ".txt");
    List<String> now = snapshot();
    if (Boolean.getBoolean("featurepool.abi.record")) {
      Files.write(record, now);
    }
    assertEquals(
        String.join("\n", Files.readAllLines(record)),
        String.join("\n", now),
        "record an intended change with -Dfeaturepool.abi.record=true, and raise"
            + " FPOOL_ABI_VERSION if it is more than an addition");
  }

  @Test
  void regeneratingChangesNothing() {
    assumeTrue(Tools.isInstalled("jextract"), "jextract is not on the PATH");
    Tools.Run run = Tools.run(Tools.MODULE.resolve("regenerate.sh").toString(), "--check");
    assertEquals(0, run.exit(), run::output);
  }

  @Test
  void theBindingNamesNothingButTheInterface() {
    Set<String> others =
        Arrays.stream(featurepool_h.class.getDeclaredMethods())
            .map(Method::getName)
            .filter(name -> !name.toLowerCase().startsWith("fpool_"))
            .collect(Collectors.toCollection(TreeSet::new));
    assertEquals(Set.of(), others);
  }

  @Test
  void generatedFilesHoldNoPathOfAMachine() throws IOException {
    try (var files = Files.list(GENERATED)) {
      for (Path file : files.toList()) {
        assertFalse(Files.readString(file).contains(".h:"), file::toString);
      }
    }
  }

  /** The kind of a C type, as {@link #javaType(MemoryLayout)} names layouts. */
  private static String javaType(String type) {
    if (type.endsWith("*")) {
      return "address";
    }
    int bracket = type.indexOf('[');
    if (bracket >= 0) {
      return javaType(type.substring(0, bracket)) + type.substring(bracket);
    }
    return switch (type) {
      case "int32_t", "fpool_status" -> "int";
      case "int64_t", "uint64_t" -> "long";
      case "double" -> "double";
      default -> throw new IllegalArgumentException("no type of the C interface: " + type);
    };
  }

  private static String javaType(MemoryLayout layout) {
    return switch (layout) {
      case AddressLayout _ -> "address";
      case ValueLayout value -> value.carrier().getName();
      case SequenceLayout array ->
          javaType(array.elementLayout()) + "[" + array.elementCount() + "]";
      default -> layout.toString();
    };
  }
}
