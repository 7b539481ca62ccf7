package org.featurepool.cli.gallery;

import java.util.function.Consumer;

/**
 * One operator of the library: what a reader should know about it, and what is shown.
 *
 * @param id name of its place in the page
 * @param title heading
 * @param api the Java class
 * @param document name of the operator's page in docs/operators
 * @param formula forward formula
 * @param idea what it does and what that is good for
 * @param gradient how its gradient flows back
 * @param show computes examples and puts them on the stage
 */
record Exhibit(
    String id,
    String title,
    String api,
    String document,
    Html formula,
    Html idea,
    Html gradient,
    Consumer<Stage> show) {

  /** An exhibit whose texts are given as markup. */
  static Exhibit of(
      String id,
      String title,
      String api,
      String document,
      String formula,
      String idea,
      String gradient,
      Consumer<Stage> show) {
    return new Exhibit(
        id, title, api, document, new Html(formula), new Html(idea), new Html(gradient), show);
  }

  /** The part of the page about it, computed now; its checks go to the stage's list. */
  Html article(Stage stage) {
    show.accept(stage);
    return Html.fill(
        """
        <article class="exhibit" id="op-${id}"><h3>${title}</h3>
        <p class="formula"><span>${formula}</span> <code>${api}</code> \
        <code>docs/operators/${document}.md</code></p>
        <p>${idea}</p>
        ${parts}
        <p><b>Gradient.</b> ${gradient}</p>
        <p class="badges">${badges}</p></article>
        """,
        "id",
        id,
        "title",
        title,
        "document",
        document,
        "formula",
        formula,
        "api",
        api,
        "idea",
        idea,
        "parts",
        stage.parts(),
        "gradient",
        gradient,
        "badges",
        stage.badges());
  }
}
