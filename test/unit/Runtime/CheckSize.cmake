# Strips LIBRARY into STRIPPED and fails when that has LIMIT bytes or more.
execute_process(COMMAND ${STRIP} -o ${STRIPPED} ${LIBRARY} COMMAND_ERROR_IS_FATAL ANY)
file(SIZE ${STRIPPED} size)
message(STATUS "${LIBRARY}: ${size} bytes stripped")
if(size GREATER_EQUAL LIMIT)
  message(FATAL_ERROR "more than ${LIMIT} bytes")
endif()
