package org.featurepool.bindings;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class HostTest {
  @Test
  void anOlderProcessorIsRecognised() {
    List<String> athlon64 =
        List.of(
            "processor\t: 0",
            "model name\t: AMD Athlon(tm) 64 Processor 3000+",
            "flags\t\t: fpu vme de pse tsc msr pae mce cx8 apic sep mmx fxsr sse sse2 pni lahf_lm",
            "bogomips\t: 3600.00");
    assertEquals(
        List.of("cx16", "popcnt", "sse4_1", "sse4_2", "ssse3"), Host.missingFeatures(athlon64));
  }

  @Test
  void aProcessorOfTheBaselineLacksNothing() {
    List<String> nehalem =
        List.of(
            "flags\t\t: sse sse2 pni ssse3 cx16 sse4_1 sse4_2 popcnt lahf_lm", "processor\t: 1");
    assertEquals(List.of(), Host.missingFeatures(nehalem));
  }

  @Test
  void aSystemThatDoesNotTellIsTrusted() {
    assertEquals(List.of(), Host.missingFeatures(List.of("processor : 0")));
  }

  @Test
  void mountOptionsAreThoseOfTheInnermostAndLatestMount() {
    List<String> mounts =
        List.of(
            "24 1 0:23 / / rw,relatime - ext4 /dev/root rw",
            "25 24 0:24 / /tmp rw,nosuid,noexec shared:2 - tmpfs tmpfs rw,size=1g",
            "26 25 0:25 / /tmp/a\\040b rw,relatime - tmpfs tmpfs rw",
            "27 24 0:26 / /run rw,noexec - tmpfs tmpfs rw",
            "28 27 0:27 / /run rw,relatime - tmpfs tmpfs rw");
    assertTrue(Host.mountOptions(mounts, Path.of("/tmp/x.so")).contains("noexec"));
    assertEquals(List.of("rw", "relatime"), Host.mountOptions(mounts, Path.of("/tmp/a b/x.so")));
    assertEquals(List.of("rw", "relatime"), Host.mountOptions(mounts, Path.of("/tmpfile.so")));
    assertEquals(List.of("rw", "relatime"), Host.mountOptions(mounts, Path.of("/run/x.so")));
  }

  @Test
  void theUserIsTheOwnerOfItsFiles(@TempDir Path folder) throws IOException {
    assertEquals(Files.getAttribute(folder, "unix:uid"), Host.userId());
  }
}
