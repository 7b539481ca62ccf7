package org.featurepool.cli.gallery;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The operators, grouped by what they do. An operator joins the gallery by an entry in its list.
 */
enum Family {
  SELECTING(
      "Selecting",
      "One tap of every window is chosen and the others are forgotten. Going back, the gradient "
          + "takes the same way: all of it goes to the tap that was chosen.",
      Selecting.EXHIBITS),
  AVERAGING(
      "Averaging",
      "All taps of a window take part. The operators differ in how much weight a strong tap gets, "
          + "and the gradient is shared out by the same weights.",
      Averaging.EXHIBITS),
  GEOMETRY(
      "Geometry",
      "Which pixels belong to an output? Instead of a window that slides, these operators divide "
          + "the plane, or a region of it, into a fixed number of parts, so that inputs of any "
          + "size give outputs of one size.",
      Geometry.EXHIBITS),
  INVERSE(
      "Inverse",
      "Pooling makes maps small; networks that draw a picture again, or label every pixel, need "
          + "the way back.",
      Inverse.EXHIBITS),
  SECOND_ORDER(
      "Second order",
      "These do not reduce each channel for itself but ask how channels go together, over the "
          + "whole picture: the output is one long vector, of the same length for any size of "
          + "the picture.",
      SecondOrder.EXHIBITS);

  private final String title;
  private final String idea;
  private final List<Exhibit> exhibits;

  Family(String title, String idea, List<Exhibit> exhibits) {
    this.title = title;
    this.idea = idea;
    this.exhibits = exhibits;
  }

  /** The operators of this family. */
  List<Exhibit> exhibits() {
    return exhibits;
  }

  /** Number of exhibits in all families. */
  static int count() {
    return Arrays.stream(values()).mapToInt(family -> family.exhibits.size()).sum();
  }

  private String id() {
    return "family-" + ordinal();
  }

  /** The families' lines of the table of contents. */
  static Html contents() {
    List<Html> lines = new ArrayList<>();
    for (Family family : values()) {
      List<Html> links = new ArrayList<>();
      for (Exhibit exhibit : family.exhibits) {
        links.add(
            Html.fill(
                "<a href=\"#op-${id}\">${title}</a> ",
                "id",
                exhibit.id(),
                "title",
                exhibit.title()));
      }
      lines.add(
          Html.fill(
              "<dt><a href=\"#${id}\">${title}</a></dt><dd>${links}</dd>\n",
              "id",
              family.id(),
              "title",
              family.title,
              "links",
              links));
    }
    return Html.join(lines);
  }

  /**
   * The family's section.
   *
   * @param articles those of its exhibits, in their order
   */
  Html section(List<Html> articles) {
    return Html.fill(
        """
        <section id="${id}"><h2>${title}</h2><p>${idea}</p>
        ${articles}</section>
        """,
        "id",
        id(),
        "title",
        title,
        "idea",
        idea,
        "articles",
        articles);
  }
}
