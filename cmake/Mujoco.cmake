# MuJoCo, which three environments of offline_rl need. Only the module libminrnn_mujoco.so is linked
# with it; the program loads that when it is asked for one of them, and runs without it otherwise.
set(MR_MUJOCO AUTO CACHE STRING "environments on MuJoCo: AUTO, ON or OFF")
set(MUJOCO_DIR "" CACHE PATH
  "folder of MuJoCo's release (include/, lib/) or Python wheel (include/); empty: the system's")
if(NOT "$ENV{MUJOCO_DIR}" STREQUAL "") # whatever was named when the build folder was made
  set_property(CACHE MUJOCO_DIR PROPERTY VALUE "$ENV{MUJOCO_DIR}")
endif()
set_property(CACHE MR_MUJOCO PROPERTY STRINGS AUTO ON OFF)

function(mr_find_mujoco include_out library_out)
  if(MUJOCO_DIR)
    find_path(include mujoco/mujoco.h PATHS ${MUJOCO_DIR}/include NO_DEFAULT_PATH NO_CACHE)
    # The wheel has the versioned name only.
    file(GLOB library ${MUJOCO_DIR}/lib/libmujoco.so* ${MUJOCO_DIR}/libmujoco.so*)
    if(NOT include OR NOT library)
      message(FATAL_ERROR "MUJOCO_DIR is ${MUJOCO_DIR}, which lacks include/mujoco/mujoco.h or "
                          "lib/libmujoco.so.")
    endif()
    list(GET library 0 library)
  else()
    find_path(include mujoco/mujoco.h NO_CACHE)
    find_library(library NAMES mujoco NO_CACHE)
  endif()
  set(${include_out} ${include} PARENT_SCOPE)
  set(${library_out} ${library} PARENT_SCOPE)
endfunction()

# Our models as bytes in mjcf.h: longer than the strings every C compiler must take.
function(mr_write_mjcf path)
  file(GLOB models CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tasks/rl/mujoco/*.xml)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${models})
  set(arrays "")
  set(rows "")
  foreach(model ${models})
    get_filename_component(stem ${model} NAME_WE)
    file(READ ${model} bytes HEX)
    string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
    string(APPEND arrays "static const unsigned char ${stem}_xml[] = {${bytes}};\n")
    string(APPEND rows "  {\"${stem}\", ${stem}_xml, sizeof ${stem}_xml},\n")
  endforeach()
  file(CONFIGURE OUTPUT ${path} @ONLY CONTENT
"/* mjcf.h — made by CMake from the .xml files in tasks/rl/mujoco. SPDX-License-Identifier: MIT */
#include <stddef.h>
${arrays}typedef struct mjcf_text {
  const char *name;
  const void *text;
  size_t bytes;
} mjcf_text;
static const mjcf_text mjcf[] = {
${rows}  {NULL, NULL, 0}};
")
endfunction()

if(NOT MR_MUJOCO STREQUAL OFF)
  mr_find_mujoco(mujoco_include mujoco_library)
  if(mujoco_include AND mujoco_library)
    message(STATUS "MuJoCo found: ${mujoco_library}")
    mr_write_mjcf(${CMAKE_BINARY_DIR}/generated/mujoco/mjcf.h)
    add_library(minrnn_mujoco MODULE tasks/rl/mujoco/engine.c)
    target_include_directories(minrnn_mujoco PRIVATE ${CMAKE_BINARY_DIR}/generated/mujoco)
    target_include_directories(minrnn_mujoco SYSTEM PRIVATE ${mujoco_include})
    target_link_libraries(minrnn_mujoco PRIVATE mr_flags ${mujoco_library})
    set_target_properties(minrnn_mujoco PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}
      INSTALL_RPATH "$ORIGIN" INSTALL_RPATH_USE_LINK_PATH ON)
    target_compile_definitions(mr_deps INTERFACE MR_WITH_MUJOCO=1) # for tests: it must load
    install(TARGETS minrnn_mujoco LIBRARY DESTINATION lib)
  elseif(MR_MUJOCO STREQUAL ON)
    message(FATAL_ERROR "MR_MUJOCO is ON, but there is no MuJoCo: apt-get install libmujoco-dev, "
                        "or name a copy: make MUJOCO_DIR=FOLDER.")
  else()
    message(STATUS "no MuJoCo found (libmujoco-dev): halfcheetah, hopper and walker2d will refuse")
  endif()
endif()
