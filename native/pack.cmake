# Packs shared library LIBRARY for the jar, below FOLDER: libfeaturepool.so.xz, and in
# libfeaturepool.so.sha256 the checksum of what it unpacks to.
file(MAKE_DIRECTORY ${FOLDER})
file(ARCHIVE_CREATE OUTPUT ${FOLDER}/libfeaturepool.so.xz PATHS ${LIBRARY}
  FORMAT raw COMPRESSION XZ)
file(SHA256 ${LIBRARY} checksum)
file(WRITE ${FOLDER}/libfeaturepool.so.sha256 ${checksum})
