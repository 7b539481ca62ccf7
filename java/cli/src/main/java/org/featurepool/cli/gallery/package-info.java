/**
 * The gallery: one HTML page that shows what pooling does to a picture, and checks it. An operator
 * joins it by an entry in {@link org.featurepool.cli.gallery.Sliding#ALL}.
 */
package org.featurepool.cli.gallery;
