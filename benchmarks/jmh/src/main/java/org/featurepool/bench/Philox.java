package org.featurepool.bench;

/** Philox4x32-10, the random numbers that Featurepool's stochastic pooling defines. */
final class Philox {
  private static final int ROUNDS = 10;

  private Philox() {}

  /** The first word at a position of stream 0 as a multiple of 2^-24 in [0, 1). */
  static double unitInterval(long seed, long position) {
    int c0 = (int) position;
    int c1 = (int) (position >>> 32);
    int c2 = 0;
    int c3 = 0;
    int k0 = (int) seed;
    int k1 = (int) (seed >>> 32);
    for (int round = 0; round < ROUNDS; round++) {
      long a = 0xD2511F53L * Integer.toUnsignedLong(c0);
      long b = 0xCD9E8D57L * Integer.toUnsignedLong(c2);
      c0 = (int) (b >>> 32) ^ c1 ^ k0;
      c1 = (int) b;
      c2 = (int) (a >>> 32) ^ c3 ^ k1;
      c3 = (int) a;
      k0 += 0x9E3779B9;
      k1 += 0xBB67AE85;
    }
    return (c0 >>> 8) * 0x1p-24;
  }
}
