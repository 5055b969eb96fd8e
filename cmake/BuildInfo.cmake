# Run at every build: writes OUTPUT, a header with compiler, flags, commit and state of the tree.
cmake_minimum_required(VERSION 3.25)
set(commit unknown)
set(dirty unknown)
if(EXISTS ${SOURCE_DIR}/.git)
  find_program(git_program git)
endif()
if(git_program)
  set(git ${git_program} --no-optional-locks -C ${SOURCE_DIR})
  execute_process(COMMAND ${git} rev-parse HEAD OUTPUT_VARIABLE head RESULT_VARIABLE failed
    ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
  execute_process(COMMAND ${git} status --porcelain OUTPUT_VARIABLE changes
    RESULT_VARIABLE status_failed ERROR_QUIET)
  if(NOT failed AND NOT status_failed)
    set(commit ${head})
    if(changes)
      set(dirty yes)
    else()
      set(dirty no)
    endif()
  endif()
endif()

string(REPLACE "\\" "\\\\" FLAGS "${FLAGS}")
string(REPLACE "\"" "\\\"" FLAGS "${FLAGS}")
file(CONFIGURE OUTPUT ${OUTPUT} @ONLY CONTENT
"/* build_info.h — what this build is. Made at every build. SPDX-License-Identifier: MIT */
#ifndef MR_BUILD_INFO_H
#define MR_BUILD_INFO_H
#define MR_BUILD_COMPILER \"@COMPILER@\"
#define MR_BUILD_FLAGS \"@FLAGS@\"
#define MR_BUILD_COMMIT \"@commit@\" /* or unknown */
#define MR_BUILD_DIRTY \"@dirty@\"   /* yes, no or unknown */
#endif
")
