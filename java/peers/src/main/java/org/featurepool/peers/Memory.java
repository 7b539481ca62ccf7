package org.featurepool.peers;

import java.lang.foreign.MemorySegment;
import org.bytedeco.javacpp.Pointer;
import org.featurepool.Tensor;

/** A tensor's memory as the engines' Java classes take it. */
final class Memory extends Pointer {
  Memory(Tensor tensor) {
    this(tensor.segment());
  }

  Memory(MemorySegment segment) {
    address = segment.address();
    limit = segment.byteSize();
    capacity = limit;
  }
}
