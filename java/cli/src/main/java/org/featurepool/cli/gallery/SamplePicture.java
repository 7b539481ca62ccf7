package org.featurepool.cli.gallery;

import java.util.stream.IntStream;

/**
 * The picture that is pooled when the user gives none: an evening by a lake, computed and not
 * drawn, so that it is the same on every machine and belongs to nobody. It has what pooling acts
 * upon: smooth gradients, soft and hard edges, texture, single bright pixels, lines one pixel wide
 * and small lettering.
 */
final class SamplePicture {
  static final int WIDTH = 512;
  static final int HEIGHT = 384;

  private static final int HORIZON = 236;
  private static final double SUN_X = 338;
  private static final double SUN_Y = 172;
  private static final int SAMPLES = 3;

  private static final int[] SKY = {0x131C46, 0x2B2F6B, 0x6A4580, 0xC9647A, 0xF2996B, 0xFBD08A};
  private static final int[] RIDGES = {0xB5708A, 0x7C5179, 0x4A3A66, 0x221F42};
  private static final int[] RIDGE_TOPS = {176, 192, 208, 222};
  private static final int[] RIDGE_HEIGHTS = {58, 44, 34, 22};

  /** Rows of five bits, top to bottom, of the letters of the signature. */
  private static final String[][] LETTERS = {
    {"F", "11111", "10000", "11110", "10000", "10000", "10000", "10000"},
    {"E", "11111", "10000", "11110", "10000", "10000", "10000", "11111"},
    {"A", "01110", "10001", "10001", "11111", "10001", "10001", "10001"},
    {"T", "11111", "00100", "00100", "00100", "00100", "00100", "00100"},
    {"U", "10001", "10001", "10001", "10001", "10001", "10001", "01110"},
    {"R", "11110", "10001", "10001", "11110", "10100", "10010", "10001"},
    {"P", "11110", "10001", "10001", "11110", "10000", "10000", "10000"},
    {"O", "01110", "10001", "10001", "10001", "10001", "10001", "01110"},
    {"L", "10000", "10000", "10000", "10000", "10000", "10000", "11111"},
  };

  private static final int CRESTS_PER_PIXEL = 6;
  private static final int CREST_MARGIN = 16 * CRESTS_PER_PIXEL;
  private static final double[][] CRESTS = crests();

  private SamplePicture() {}

  /** Draws the picture, {@value #WIDTH} × {@value #HEIGHT}, RGB. */
  static Raster draw() {
    Raster picture = new Raster(WIDTH, HEIGHT);
    IntStream.range(0, HEIGHT)
        .parallel()
        .forEach(
            y -> {
              for (int x = 0; x < WIDTH; x++) {
                picture.set(x, y, pixel(x, y));
              }
            });
    stars(picture);
    sign(picture, "FEATUREPOOL", 18, HEIGHT - 40, 2, 0xF7D9A8);
    sign(picture, "FEATUREPOOL", 18, HEIGHT - 20, 1, 0xC9A27E);
    return picture;
  }

  /** A pixel is the mean of its samples, which makes the edges of all shapes soft. */
  private static int pixel(int x, int y) {
    double[] sum = new double[3];
    for (int j = 0; j < SAMPLES; j++) {
      for (int i = 0; i < SAMPLES; i++) {
        int color = scene(x + (i + 0.5) / SAMPLES, y + (j + 0.5) / SAMPLES);
        sum[0] += (color >> 16) & 0xFF;
        sum[1] += (color >> 8) & 0xFF;
        sum[2] += color & 0xFF;
      }
    }
    int n = SAMPLES * SAMPLES;
    // A little grain keeps the gradients from banding, as film does.
    double grain = (hash(x, y, 77) - 0.5) * 5;
    int color = 0;
    for (double s : sum) {
      color = color << 8 | Math.clamp(Math.round(s / n + grain), 0, 255);
    }
    return color;
  }

  private static int scene(double x, double y) {
    int boat = boat(x, y);
    if (boat >= 0) {
      return boat;
    }
    return y < HORIZON ? land(x, y) : water(x, y);
  }

  private static int land(double x, double y) {
    int color = sky(x, y);
    for (int r = 0; r < RIDGES.length; r++) {
      double crest = crest(r, x);
      if (y > crest) {
        double depth = Math.min(1, (y - crest) / 60);
        double texture =
            noise(x / 7, y / 4, 40 + r) * 0.16 + noise(x / 2.2, y / 1.7, 50 + r) * 0.10;
        int haze = ColorMap.mix(RIDGES[r], 0xF4A27C, 0.25 * depth * (1 - r / 4.0));
        color = ColorMap.mix(haze, 0x0E1028, texture * (0.4 + 0.3 * r));
        // The side that faces the sun catches some light.
        double slope = crest(r, x + 2) - crest(r, x - 2);
        double most = r == 3 ? 0.16 : 0.5;
        double lit = Math.clamp((x < SUN_X ? -slope : slope) * 0.2 + 0.1, 0, most);
        color = ColorMap.mix(color, 0xFFC27A, lit * Math.exp(-(y - crest) / 9));
      }
    }
    return birds(x, y) ? 0x1B1A38 : color;
  }

  /** Height of a ridge's crest, looked up: the reflections ask for it at places of all kinds. */
  private static double crest(int ridge, double x) {
    long place = Math.round(x * CRESTS_PER_PIXEL) + CREST_MARGIN;
    return CRESTS[ridge][Math.clamp(place, 0, CRESTS[ridge].length - 1)];
  }

  private static double[][] crests() {
    double[][] crests = new double[RIDGES.length][WIDTH * CRESTS_PER_PIXEL + 2 * CREST_MARGIN];
    for (int ridge = 0; ridge < crests.length; ridge++) {
      for (int i = 0; i < crests[ridge].length; i++) {
        crests[ridge][i] = crestAt(ridge, (double) (i - CREST_MARGIN) / CRESTS_PER_PIXEL);
      }
    }
    return crests;
  }

  private static double crestAt(int ridge, double x) {
    double n = fractal(x / (90 - 12 * ridge), ridge * 9.7, 5, 10 + ridge);
    double pine = ridge == 3 ? 7 * Math.abs(noise(x / 2.6, 3, 31) - 0.5) : 0;
    return RIDGE_TOPS[ridge] + RIDGE_HEIGHTS[ridge] * (0.5 - n) * 1.6 - pine;
  }

  private static int sky(double x, double y) {
    double t = Math.clamp(y / HORIZON + 0.05, 0, 1) * (SKY.length - 1);
    int low = Math.min((int) t, SKY.length - 2);
    int color = ColorMap.mix(SKY[low], SKY[low + 1], t - low);

    double streak = fractal(x / 120, y / 15, 5, 3);
    double band = Math.exp(-Math.pow((y - 92) / 58, 2));
    double cloud = Math.clamp((streak - 0.47) * 3.4, 0, 1) * band;
    color = ColorMap.mix(color, ColorMap.mix(0xE77C7E, 0xFFD9A0, y / 170), 0.75 * cloud);

    double d = Math.hypot(x - SUN_X, y - SUN_Y);
    color = ColorMap.mix(color, 0xFFE3A8, 0.75 * Math.exp(-d / 62));
    return d < 30 ? ColorMap.mix(0xFFF8DC, 0xFFE7A6, Math.clamp(d / 30, 0, 1)) : color;
  }

  private static int water(double x, double y) {
    double depth = (y - HORIZON) / (HEIGHT - HORIZON);
    double far = 1 / (0.08 + depth);
    double wave = noise(x / (3 + 26 * depth), (y - HORIZON) * far / 5, 61) - 0.5;
    double ripple = noise(x / (1.5 + 6 * depth), y / 1.4, 62) - 0.5;
    double mirrored = HORIZON - (y - HORIZON) * 1.15 + 16 * wave * depth + 5 * ripple;
    int color = land(x + 12 * wave * depth, Math.clamp(mirrored, 0, HORIZON - 0.5));
    color = ColorMap.mix(color, 0x16244F, 0.30 + 0.42 * depth);

    // The sun's path: many small glints, denser near its column.
    double path = Math.exp(-Math.pow((x - SUN_X) / (14 + 62 * depth), 2));
    double glint = noise(x / (2 + 9 * depth), (y - HORIZON) * far / 2.1, 63);
    return ColorMap.mix(color, 0xFFE9B0, 0.95 * path * Math.clamp((glint - 0.48) * 7, 0, 1));
  }

  /** The boat's colour at a point, or -1 beside the boat. */
  private static int boat(double x, double y) {
    double bx = x - 128;
    double by = y - 282;
    double hull = 11 * (1 - Math.pow(bx / 44, 2) * 0.35);
    if (by > 0 && by < hull && Math.abs(bx) < 42 - by * 0.9) {
      return by < 2.2 ? 0xF3D3A2 : ColorMap.mix(0x8B2F34, 0x3A1423, by / 11);
    }
    if (Math.abs(bx + 4) < 0.8 && by <= 0 && by > -98) {
      return 0x2A1A22;
    }
    // Sails: triangles with a bulge and seams, lit from the right.
    double up = -by / 94;
    if (up > 0.06 && up < 1) {
      double main = 36 * (1 - up) + 5 * Math.sin(Math.PI * up);
      if (bx > -2.6 && bx + 2.6 < main) {
        boolean seam = Math.abs(by + 30) < 0.5 || Math.abs(by + 56) < 0.5;
        return seam ? 0xC08A62 : ColorMap.mix(0xF9E6C4, 0xE6A877, (bx + 2.6) / 44);
      }
      double jib = 29 * (0.86 - up) + 4 * Math.sin(Math.PI * up);
      if (up < 0.86 && bx < -5.6 && -5.6 - bx < jib) {
        return ColorMap.mix(0xE9C3A0, 0xB97B72, (-5.6 - bx) / 34);
      }
    }
    // The forestay and the backstay, one pixel wide.
    if (by <= 0 && by > -97) {
      double fore = -4 - 37 * (1 + by / 97);
      double back = -4 + 44 * (1 + by / 97);
      if (Math.abs(bx - fore) < 0.45 || Math.abs(bx - back) < 0.45) {
        return 0x33222E;
      }
    }
    // Its reflection, broken by the ripples.
    if (by > hull && by < 74 && Math.abs(bx + 1) < 41 - by * 0.45) {
      double broken = noise(x / 9, y / 1.8, 71);
      double sail = noise(x / 14, y / 2.6, 72);
      if (broken > 0.42 + by / 190) {
        return by < 24 ? 0x53202F : ColorMap.mix(0xA88B86, 0x5A4766, sail);
      }
    }
    return -1;
  }

  private static boolean birds(double x, double y) {
    int[][] birds = {{226, 70, 9}, {246, 60, 7}, {252, 80, 6}, {204, 58, 5}, {275, 72, 5}};
    for (int[] bird : birds) {
      double dx = (x - bird[0]) / bird[2];
      double wing = bird[1] - bird[2] * 0.55 * Math.sin(Math.min(1, Math.abs(dx)) * Math.PI * 0.8);
      if (Math.abs(dx) < 1 && Math.abs(y - wing) < 1.0 - 0.55 * Math.abs(dx)) {
        return true;
      }
    }
    return false;
  }

  private static void stars(Raster picture) {
    for (int y = 2; y < 84; y++) {
      for (int x = 2; x < WIDTH - 2; x++) {
        if (hash(x, y, 5) > 0.9974 + 0.0018 * y / 84) {
          double bright = (0.45 + 0.55 * hash(x, y, 6)) * (1 - y / 110.0);
          picture.set(x, y, ColorMap.mix(picture.get(x, y), 0xFFFDF0, bright));
        }
      }
    }
  }

  private static void sign(Raster picture, String text, int left, int top, int scale, int color) {
    for (int i = 0; i < text.length(); i++) {
      String[] letter = letter(text.substring(i, i + 1));
      for (int row = 0; row < 7 * scale; row++) {
        for (int column = 0; column < 5 * scale; column++) {
          if (letter[1 + row / scale].charAt(column / scale) == '1') {
            picture.set(left + i * 6 * scale + column, top + row, color);
          }
        }
      }
    }
  }

  private static String[] letter(String name) {
    for (String[] letter : LETTERS) {
      if (letter[0].equals(name)) {
        return letter;
      }
    }
    throw new IllegalArgumentException("The sample has no letter " + name);
  }

  /** Value noise: smooth, 0 to 1. */
  private static double noise(double x, double y, int seed) {
    int x0 = (int) Math.floor(x);
    int y0 = (int) Math.floor(y);
    double fx = smooth(x - x0);
    double fy = smooth(y - y0);
    double top = lerp(hash(x0, y0, seed), hash(x0 + 1, y0, seed), fx);
    double bottom = lerp(hash(x0, y0 + 1, seed), hash(x0 + 1, y0 + 1, seed), fx);
    return lerp(top, bottom, fy);
  }

  private static double fractal(double x, double y, int octaves, int seed) {
    double sum = 0;
    double weight = 0.5;
    double total = 0;
    for (int octave = 0; octave < octaves; octave++) {
      sum += weight * noise(x * (1 << octave), y * (1 << octave), seed * 31 + octave);
      total += weight;
      weight *= 0.5;
    }
    return sum / total;
  }

  private static double smooth(double t) {
    return t * t * (3 - 2 * t);
  }

  private static double lerp(double a, double b, double t) {
    return a + (b - a) * t;
  }

  /** A number in [0, 1) that looks random and depends on the arguments only. */
  private static double hash(int x, int y, int seed) {
    int h = x * 0x27D4EB2D ^ y * 0x165667B1 ^ seed * 0x9E3779B1;
    h = (h ^ h >>> 15) * 0x2C1B3C6D;
    h = (h ^ h >>> 12) * 0x297A2D39;
    h ^= h >>> 15;
    return (h >>> 8) * 0x1p-24;
  }
}
