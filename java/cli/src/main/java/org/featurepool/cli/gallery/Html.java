package org.featurepool.cli.gallery;

import java.util.Collection;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A piece of finished markup. Whatever is put into a template and is not itself markup is escaped,
 * so that a file name with a {@code <} in it cannot break the page.
 *
 * @param markup well-formed HTML
 */
record Html(String markup) {
  private static final Pattern PLACEHOLDER = Pattern.compile("\\$\\{([a-zA-Z]+)}");

  static final Html EMPTY = new Html("");

  /** Plain text, escaped. */
  static Html text(Object value) {
    String s = String.valueOf(value);
    StringBuilder out = new StringBuilder(s.length() + 16);
    for (int i = 0; i < s.length(); i++) {
      char c = s.charAt(i);
      switch (c) {
        case '&' -> out.append("&amp;");
        case '<' -> out.append("&lt;");
        case '>' -> out.append("&gt;");
        case '"' -> out.append("&quot;");
        case '\'' -> out.append("&#39;");
        default -> out.append(c);
      }
    }
    return new Html(out.toString());
  }

  /**
   * Fills a template.
   *
   * @param template markup with places such as {@code ${title}}
   * @param namesAndValues name, value, name, value ...; a value that is no {@link Html} is escaped,
   *     one that is a collection of {@link Html} is joined
   * @throws IllegalArgumentException if a place of the template has no value
   */
  static Html fill(String template, Object... namesAndValues) {
    Matcher matcher = PLACEHOLDER.matcher(template);
    StringBuilder out = new StringBuilder(template.length() + 64);
    while (matcher.find()) {
      Html value = markupOf(valueOf(matcher.group(1), namesAndValues));
      matcher.appendReplacement(out, Matcher.quoteReplacement(value.markup));
    }
    return new Html(matcher.appendTail(out).toString());
  }

  private static Object valueOf(String name, Object[] namesAndValues) {
    for (int i = 0; i + 1 < namesAndValues.length; i += 2) {
      if (name.equals(namesAndValues[i])) {
        return namesAndValues[i + 1];
      }
    }
    throw new IllegalArgumentException("The template's place '" + name + "' has no value");
  }

  private static Html markupOf(Object value) {
    return switch (value) {
      case Html html -> html;
      case Collection<?> parts -> join(parts);
      default -> text(value);
    };
  }

  /** The parts one after another; parts that are no {@link Html} are escaped. */
  static Html join(Collection<?> parts) {
    StringBuilder out = new StringBuilder();
    for (Object part : parts) {
      out.append(markupOf(part).markup);
    }
    return new Html(out.toString());
  }

  /**
   * A figure.
   *
   * @param picture the picture, embedded
   * @param crisp whether its pixels stay square when it is enlarged
   * @param alt what it shows, for those who do not see it
   * @param caption text below it, or {@link #EMPTY}
   */
  static Html figure(Raster picture, boolean crisp, String alt, Html caption) {
    return fill(
        """
        <figure><img class="${kind}" src="${uri}" width="${width}" height="${height}" alt="${alt}">\
        <figcaption>${caption}</figcaption></figure>
        """,
        "kind",
        crisp ? "crisp" : "smooth",
        "uri",
        picture.toDataUri(),
        "width",
        picture.width(),
        "height",
        picture.height(),
        "alt",
        alt,
        "caption",
        caption);
  }

  /** {@code format} in the language of the page, whatever the machine's is. */
  static String format(String format, Object... arguments) {
    return String.format(Locale.ROOT, format, arguments);
  }
}
