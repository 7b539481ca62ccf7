# Packs shared library LIBRARY with program XZ for the jar, below FOLDER: libfeaturepool.so.xz, and in
# libfeaturepool.so.sha256 the checksum of what it unpacks to. What is asked of xz suits the
# instructions of ARCHITECTURE better than its defaults do: 3 to 6 %.
if(ARCHITECTURE STREQUAL "x86_64")
  set(options --x86 --lzma2=preset=9e,dict=12MiB,pb=0,lc=4)
elseif(ARCHITECTURE STREQUAL "aarch64")
  set(options --arm64 --lzma2=preset=9e,dict=12MiB,pb=2,lp=2,lc=2)
else()
  set(options --lzma2=preset=9e,dict=12MiB)
endif()
file(MAKE_DIRECTORY ${FOLDER})
execute_process(COMMAND ${XZ} --stdout --threads=1 --check=crc64 ${options} ${LIBRARY}
  OUTPUT_FILE ${FOLDER}/libfeaturepool.so.xz COMMAND_ERROR_IS_FATAL ANY)
file(SHA256 ${LIBRARY} checksum)
file(WRITE ${FOLDER}/libfeaturepool.so.sha256 ${checksum})
