# Looks for functions of OBJECTS, which are compiled with the flags of one instruction-set tier each,
# that the linker could take in the place of another object's: weak symbols without the tier's name.

string(REPLACE "|" ";" objects "${OBJECTS}")
if(NOT objects)
  message(FATAL_ERROR "there are no objects to look at")
endif()
foreach(object IN LISTS objects)
  string(REGEX MATCH "([a-z0-9]+)\\.cpp" file "${object}")
  set(tier ${CMAKE_MATCH_1})
  execute_process(COMMAND ${NM} --defined-only --format=posix ${object}
    OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL "[^\n]+ [WVu] [^\n]*" symbols "${symbols}")
  # A reference to the C++ runtime, the same in every object.
  list(FILTER symbols EXCLUDE REGEX "^DW\\.ref\\.__gxx_personality_v0 ")
  list(FILTER symbols EXCLUDE REGEX "${tier}")
  if(symbols)
    list(JOIN symbols "\n" symbols)
    message(FATAL_ERROR "${object} defines what other objects may define too:\n${symbols}")
  endif()
endforeach()
