/**
 * The commands {@code pool} and {@code backward} and the operators that they know: {@link
 * org.featurepool.cli.operator.Operators} lists them, one small class each.
 */
package org.featurepool.cli.operator;
