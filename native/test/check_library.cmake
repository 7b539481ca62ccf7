# Compares what LIBRARY exports with the allow-list ALLOWED, and what it needs with libc and libm.

execute_process(COMMAND ${NM} -D --defined-only --format=posix ${LIBRARY}
  OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "[^\n]+" symbols "${symbols}")
list(TRANSFORM symbols REPLACE "[@ ].*" "")
list(SORT symbols)
file(STRINGS ${ALLOWED} allowed)
if(NOT symbols STREQUAL allowed)
  string(REPLACE ";" " " symbols "${symbols}")
  message(FATAL_ERROR "${LIBRARY} exports other symbols than ${ALLOWED} lists: ${symbols}")
endif()

if(CHECK_NEEDED)
  execute_process(COMMAND ${READELF} -d ${LIBRARY}
    OUTPUT_VARIABLE dynamic COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL "NEEDED[^\n]*" needed "${dynamic}")
  foreach(entry IN LISTS needed)
    if(NOT entry MATCHES "\\[(libc\\.so\\.6|libm\\.so\\.6|ld-linux[^]]*)\\]")
      message(FATAL_ERROR "${LIBRARY} needs more than libc and libm: ${entry}")
    endif()
  endforeach()
endif()
