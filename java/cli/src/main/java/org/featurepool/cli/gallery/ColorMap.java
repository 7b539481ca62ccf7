package org.featurepool.cli.gallery;

/** Colours of a heat map: evenly spaced stops, mixed linearly. */
enum ColorMap {
  /** From nothing (near black) over red and orange to much (pale yellow). */
  HEAT(0x0B0A1A, 0x2C1150, 0x6B1D6B, 0xA92E5E, 0xDE4B40, 0xF8850F, 0xFBBF3C, 0xFCFDBF),
  /** From negative (blue) over nothing (near white) to positive (red). */
  SIGNED(0x0C3C78, 0x2F79B5, 0x8FC0DC, 0xF4F2EE, 0xF2AE8B, 0xCB4B41, 0x7E0D2C);

  /** Colours are told apart in this many steps, few enough for pictures of one byte per pixel. */
  private static final int STEPS = 252;

  private final int[] stops;

  ColorMap(int... stops) {
    this.stops = stops;
  }

  /**
   * The colour of a position.
   *
   * @param t 0 (first stop) to 1 (last stop); anything outside, and NaN, is clamped
   * @return 0xRRGGBB
   */
  int at(double t) {
    long step = Math.round(Math.clamp(Double.isNaN(t) ? 0 : t, 0.0, 1.0) * STEPS);
    double place = (double) step * (stops.length - 1) / STEPS;
    int low = Math.min((int) place, stops.length - 2);
    return mix(stops[low], stops[low + 1], place - low);
  }

  /** {@code a} and {@code b} (0xRRGGBB) mixed: all {@code a} at 0, all {@code b} at 1. */
  static int mix(int a, int b, double share) {
    int color = 0;
    for (int shift = 16; shift >= 0; shift -= 8) {
      double from = (a >> shift) & 0xFF;
      double to = (b >> shift) & 0xFF;
      color |= (int) Math.round(from + (to - from) * share) << shift;
    }
    return color;
  }

  /**
   * The legend: the scale with its two ends and what it measures.
   *
   * @param low text at the first colour
   * @param high text at the last colour
   * @param what quantity and unit
   */
  Html legend(String low, String high, String what) {
    StringBuilder gradient = new StringBuilder("linear-gradient(to right");
    for (int stop : stops) {
      gradient.append(Html.format(",#%06x", stop));
    }
    return Html.fill(
        """
        <div class="legend"><span>${low}</span><i style="background:${gradient})"></i>\
        <span>${high}</span><em>${what}</em></div>
        """,
        "low",
        low,
        "high",
        high,
        "gradient",
        gradient,
        "what",
        what);
  }
}
