/** The {@code bench} command: the contenders of every cell of a matrix, timed in one process. */
package org.featurepool.bench;
