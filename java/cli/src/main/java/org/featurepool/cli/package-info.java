/** The command-line program: pools arrays and pictures, and shows what pooling does. */
package org.featurepool.cli;
