package org.featurepool.cli.gallery;

/**
 * One comparison of the library with an independent result.
 *
 * @param subject what was compared
 * @param passed whether it agreed
 * @param detail how closely, or where it first differed
 */
record Check(String subject, boolean passed, String detail) {

  /** The check as a badge: passed or failed, with its subject and detail as the tool tip. */
  Html badge(String label) {
    return Html.fill(
        """
        <span class="badge ${state}" title="${subject}: ${detail}">${label}: ${word}</span>
        """,
        "state",
        passed ? "good" : "bad",
        "subject",
        subject,
        "detail",
        detail,
        "label",
        label,
        "word",
        passed ? detail : "FAILED, " + detail);
  }
}
