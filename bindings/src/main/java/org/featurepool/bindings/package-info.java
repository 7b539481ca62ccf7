/** Finds, checks and loads the native library that the generated binding calls. */
package org.featurepool.bindings;
