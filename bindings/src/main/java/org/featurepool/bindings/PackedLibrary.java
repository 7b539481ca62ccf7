package org.featurepool.bindings;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.tukaani.xz.XZInputStream;

/**
 * A library among the resources of the jar, packed with xz: two thirds of what the jar's own
 * compression would make of it, unpacked once per machine.
 *
 * @param platform {@code <os>-<architecture>}
 * @param sha256 the checksum of the library, in hexadecimal
 */
record PackedLibrary(String platform, String sha256) {
  /** All that there may be; which of them are in the jar is known to those who built it. */
  private static final List<String> PLATFORMS = List.of("linux-aarch64", "linux-x86_64");

  private static final String NAME = "/libfeaturepool.so";

  /** The platforms whose library is in the jar. */
  static List<String> platforms() {
    return PLATFORMS.stream()
        .filter(platform -> PackedLibrary.class.getResource(platform + NAME + ".xz") != null)
        .toList();
  }

  /** The library for one of the {@link #platforms()}. */
  static PackedLibrary of(String platform) throws IOException {
    try (InputStream checksum = resource(platform + NAME + ".sha256")) {
      return new PackedLibrary(
          platform, new String(checksum.readAllBytes(), StandardCharsets.US_ASCII));
    }
  }

  /** The bytes of the library; reading them fails where the jar is damaged. */
  InputStream unpack() throws IOException {
    return new XZInputStream(resource(platform + NAME + ".xz"));
  }

  private static InputStream resource(String name) throws IOException {
    InputStream resource = PackedLibrary.class.getResourceAsStream(name);
    if (resource == null) {
      throw new FileNotFoundException("the jar has no " + name);
    }
    return resource;
  }
}
