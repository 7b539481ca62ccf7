/** Other engines, as contenders of the benchmarks. */
package org.featurepool.peers;
