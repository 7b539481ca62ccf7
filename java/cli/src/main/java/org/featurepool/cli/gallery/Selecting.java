package org.featurepool.cli.gallery;

import java.util.List;
import org.featurepool.MaxPool;
import org.featurepool.MinPool;
import org.featurepool.SelectingPool;

/** Operators that choose one tap of every window. */
final class Selecting {
  static final List<Exhibit> EXHIBITS =
      List.of(
          Exhibit.of(
              "max",
              "Max",
              "MaxPool",
              "y = max<sub>i</sub> x<sub>i</sub>",
              "The largest tap wins: of all responses to a feature inside the window, the strongest "
                  + "is kept, wherever exactly it was. This is the pooling of most networks. On a "
                  + "picture it lets bright details grow, noise included.",
              "All of it goes to the tap that won, the first one among equals. Where windows "
                  + "overlap, a tap that won several of them collects the sum.",
              stage -> {
                stage.example(
                    window -> pool(MaxPool.of(window)), Rule.MAX, 0, "max(1, 3, 4, 2) = 4", 4);
                stage.photo(window -> pool(MaxPool.of(window)), Rule.MAX);
              }),
          Exhibit.of(
              "min",
              "Min",
              "MinPool",
              "y = min<sub>i</sub> x<sub>i</sub>",
              "Article 001 asks whether the minimum makes sense. It does: it is max pooling of the "
                  + "negated map, and right where small values carry the meaning, such as dark "
                  + "strokes on white paper or a distance of which the shortest counts. On a "
                  + "picture dark details grow, and the white dots of the noise are gone.",
              "All of it goes to the smallest tap, the first one among equals.",
              stage -> {
                stage.example(
                    window -> pool(MinPool.of(window)), Rule.MIN, 0, "min(1, 3, 4, 2) = 1", 1);
                stage.photo(window -> pool(MinPool.of(window)), Rule.MIN);
              }));

  private Selecting() {}

  private static Pool pool(SelectingPool pool) {
    return new Pool(
        pool::forward,
        (dy, x, arena) -> pool.backward(dy, pool.forwardWithMask(x, arena).mask(), arena));
  }
}
