package org.featurepool.peers;

import java.util.function.Supplier;
import org.bytedeco.javacpp.PointerScope;

/** Frees the native objects that a piece of work makes. */
final class Native {
  private Native() {}

  static <T> T scoped(Supplier<T> work) {
    PointerScope scope = new PointerScope();
    try {
      return work.get();
    } finally {
      scope.close();
    }
  }
}
