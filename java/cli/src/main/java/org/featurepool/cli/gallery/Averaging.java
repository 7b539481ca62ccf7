package org.featurepool.cli.gallery;

import java.util.List;
import org.featurepool.AvgPool;
import org.featurepool.Window;

/** Operators to whose output all taps of a window contribute. */
final class Averaging {
  static final List<Exhibit> EXHIBITS =
      List.of(
          Exhibit.of(
              "avg",
              "Average",
              "AvgPool",
              "y = (x<sub>1</sub> + … + x<sub>n</sub>) / n",
              "The mean of the taps: the overall level of the window, strong and weak responses "
                  + "alike. On a picture it blurs; noise does not vanish but is smeared.",
              "Every tap gets the same share, one n-th of it. It is divided and not copied, so its "
                  + "sum stays what it was.",
              stage -> {
                stage.example(
                    Averaging::average, Rule.MEAN, 2, "(1 + 3 + 4 + 2) / 4 = 10 / 4 = 2.5", 2.5);
                stage.photo(Averaging::average, Rule.MEAN);
              }));

  private Averaging() {}

  static Pool average(Window window) {
    AvgPool pool = AvgPool.of(window);
    return new Pool(pool::forward, (dy, x, arena) -> pool.backward(dy, x.shape(), arena));
  }
}
