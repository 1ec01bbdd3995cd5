// SPDX-License-Identifier: Apache-2.0
#include "cloud/signature.h"

#include <doctest/doctest.h>

#include "cloud/wall_time.h"

using namespace terway;
using namespace terway::cloud;

namespace {

// The example of the vendor's page "Request signatures" of ECS.
http::Parameters published_rpc_example() {
  return {{"Timestamp", "2016-02-23T12:46:24Z"},
          {"Format", "XML"},
          {"AccessKeyId", "testid"},
          {"Action", "DescribeRegions"},
          {"SignatureMethod", "HMAC-SHA1"},
          {"SignatureNonce", "3ee8c1b8-83d3-44af-a94f-4e0ad82fd6cf"},
          {"Version", "2014-05-26"},
          {"SignatureVersion", "1.0"}};
}

// The example of the vendor's page "V3 request structure and signature".
http::Request published_acs3_example() {
  http::Request request;
  request.method = "POST";
  request.query =
      "ImageId=win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd&RegionId=cn-shanghai";
  request.headers = {
      {"Host", "ecs.cn-shanghai.aliyuncs.com"},
      {"x-acs-action", "RunInstances"},
      {"x-acs-content-sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"x-acs-date", "2023-10-26T10:22:32Z"},
      {"x-acs-signature-nonce", "3156853299f313e23d1673dc12e1703d"},
      {"x-acs-version", "2014-05-26"},
      {"User-Agent", "is not signed"}};
  return request;
}

}  // namespace

TEST_CASE("the classic signature is the one that the vendor publishes") {
  const http::Parameters parameters = published_rpc_example();
  CHECK(rpc_string_to_sign(parameters, "GET") ==
        "GET&%2F&AccessKeyId%3Dtestid%26Action%3DDescribeRegions%26Format%3DXML%26SignatureMethod"
        "%3DHMAC-SHA1%26SignatureNonce%3D3ee8c1b8-83d3-44af-a94f-4e0ad82fd6cf%26SignatureVersion"
        "%3D1.0%26Timestamp%3D2016-02-23T12%253A46%253A24Z%26Version%3D2014-05-26");
  CHECK(sign_rpc(parameters, "GET", "testsecret") == "OLeaidS1JvxuMvnyHOwuJ+uX5qY=");
}

TEST_CASE("a classic signature that is among the parameters does not sign itself") {
  http::Parameters parameters = published_rpc_example();
  parameters["Signature"] = "OLeaidS1JvxuMvnyHOwuJ+uX5qY=";
  CHECK(sign_rpc(parameters, "GET", "testsecret") == parameters["Signature"]);
  CHECK(sign_rpc(parameters, "POST", "testsecret") != parameters["Signature"]);
}

TEST_CASE("the ACS3 signature is the one that the vendor publishes") {
  const http::Request request = published_acs3_example();
  const std::string names = acs3_signed_headers(request.headers);
  CHECK(names ==
        "host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version");
  CHECK(sha256_hex(acs3_canonical_request(request, names)) ==
        "7ea06492da5221eba5297e897ce16e55f964061054b7695beedaac1145b1e259");
  const std::string signature = sign_acs3(request, names, "YourAccessKeySecret");
  CHECK(signature == "06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0");
  const std::string header = format_acs3_authorization({"YourAccessKeyId", names, signature});
  CHECK(header ==
        "ACS3-HMAC-SHA256 Credential=YourAccessKeyId,SignedHeaders=host;x-acs-action;"
        "x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version,"
        "Signature=06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0");
  const auto parsed = parse_acs3_authorization(header);
  REQUIRE(parsed);
  CHECK(parsed->access_key_id == "YourAccessKeyId");
  CHECK(parsed->signed_headers == names);
  CHECK(parsed->signature == signature);
}

TEST_CASE("an ACS3 signature covers method, query, headers and body") {
  const http::Request original = published_acs3_example();
  const std::string names = acs3_signed_headers(original.headers);
  const auto sign = [&](const http::Request& request) {
    return sign_acs3(request, names, "YourAccessKeySecret");
  };
  const std::string signature = sign(original);
  http::Request changed = original;
  changed.method = "GET";
  CHECK(sign(changed) != signature);
  changed = original;
  changed.query += "&Amount=2";
  CHECK(sign(changed) != signature);
  changed = original;
  changed.headers["x-acs-date"] = "2023-10-26T10:22:33Z";
  CHECK(sign(changed) != signature);
  changed = original;
  changed.body = "x";
  CHECK(sign(changed) != signature);
  changed = original;
  changed.headers["User-Agent"] = "another";
  CHECK(sign(changed) == signature);
}

TEST_CASE("an Authorization header of another form is not taken for ACS3") {
  CHECK(!parse_acs3_authorization(""));
  CHECK(!parse_acs3_authorization("Basic dXNlcjpwYXNz"));
  CHECK(!parse_acs3_authorization("ACS3-HMAC-SHA256 Credential=,SignedHeaders=a,Signature=b"));
  CHECK(!parse_acs3_authorization("ACS3-HMAC-SHA256 Credential=a,Signature=b"));
  CHECK(!parse_acs3_authorization("ACS3-HMAC-SHA256 Credential=a,SignedHeaders=b,Signature=c,d"));
  CHECK(parse_acs3_authorization("ACS3-HMAC-SHA256 Credential=a, SignedHeaders=b, Signature=c"));
}

TEST_CASE("times are written and read as ISO 8601") {
  CHECK(format_time(WallTime()) == "1970-01-01T00:00:00Z");
  const auto time = parse_time("2023-10-26T10:22:32Z");
  REQUIRE(time);
  CHECK(time->time_since_epoch() == std::chrono::seconds(1698315752));
  CHECK(format_time(*time + std::chrono::milliseconds(999)) == "2023-10-26T10:22:32Z");
  for (const char* wrong :
       {"", "2023-10-26 10:22:32Z", "2023-02-30T00:00:00Z", "2023-10-26T24:00:00Z",
        "2023-10-26T10:22:32", "9999-01-01T00:00:00Z"}) {
    CHECK_MESSAGE(!parse_time(wrong), wrong);
  }
}
