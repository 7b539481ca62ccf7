package org.featurepool;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;

/**
 * Memory between two pages that may not be touched: whoever reads or writes a byte before or behind
 * it ends the process.
 */
final class GuardedMemory implements AutoCloseable {
  /** As large as the pages of any supported system. */
  private static final long PAGE = 65536;

  private static final int PROT_NONE = 0;
  private static final int PROT_READ_WRITE = 3;
  private static final int MAP_PRIVATE_ANONYMOUS = 0x22;

  private static final MethodHandle MMAP =
      libc(
          "mmap",
          FunctionDescriptor.of(
              ValueLayout.JAVA_LONG,
              ValueLayout.JAVA_LONG,
              ValueLayout.JAVA_LONG,
              ValueLayout.JAVA_INT,
              ValueLayout.JAVA_INT,
              ValueLayout.JAVA_INT,
              ValueLayout.JAVA_LONG));
  private static final MethodHandle MPROTECT =
      libc(
          "mprotect",
          FunctionDescriptor.of(
              ValueLayout.JAVA_INT,
              ValueLayout.JAVA_LONG,
              ValueLayout.JAVA_LONG,
              ValueLayout.JAVA_INT));
  private static final MethodHandle MUNMAP =
      libc(
          "munmap",
          FunctionDescriptor.of(
              ValueLayout.JAVA_INT, ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG));

  private final long mapping;
  private final long size;
  private final MemorySegment memory;

  @SuppressWarnings("restricted")
  private static MethodHandle libc(String function, FunctionDescriptor descriptor) {
    Linker linker = Linker.nativeLinker();
    return linker.downcallHandle(linker.defaultLookup().findOrThrow(function), descriptor);
  }

  /** Maps memory of at least {@code bytes} bytes. */
  @SuppressWarnings("restricted")
  GuardedMemory(long bytes) {
    long usable = (bytes + PAGE - 1) / PAGE * PAGE;
    size = usable + 2 * PAGE;
    try {
      mapping = (long) MMAP.invokeExact(0L, size, PROT_NONE, MAP_PRIVATE_ANONYMOUS, -1, 0L);
      int refused = (int) MPROTECT.invokeExact(mapping + PAGE, usable, PROT_READ_WRITE);
      if (mapping == -1 || refused != 0) {
        throw new IllegalStateException("cannot map " + size + " bytes of guarded memory");
      }
    } catch (RuntimeException e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
    memory = MemorySegment.ofAddress(mapping + PAGE).reinterpret(usable);
  }

  /** Bytes that begin right behind the guard page before them. */
  MemorySegment left(long bytes) {
    return memory.asSlice(0, bytes);
  }

  /** Bytes that end right before the guard page behind them. */
  MemorySegment right(long bytes) {
    return memory.asSlice(memory.byteSize() - bytes);
  }

  @Override
  public void close() {
    try {
      int refused = (int) MUNMAP.invokeExact(mapping, size);
      if (refused != 0) {
        throw new IllegalStateException("cannot unmap guarded memory");
      }
    } catch (RuntimeException e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }
}
