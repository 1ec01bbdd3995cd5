// SPDX-License-Identifier: Apache-2.0
#include "vpcsim/api_error.h"

#include <array>

namespace terway::vpcsim {

namespace {

using Kind = Error::Kind;

struct Row {
  std::string_view code;
  int status;
  Kind kind;
  std::string_view sentence;
};

// Sentences are the documented ones where the documentation has one, else ours.
constexpr std::array kRows = {
    // Common to every product (API gateway).
    Row{"MissingParameter", 400, Kind::Invalid, "A mandatory parameter is not supplied."},
    Row{"InvalidParameter", 400, Kind::Invalid, "The specified parameter is not valid."},
    Row{"InvalidParameter.Conflict", 400, Kind::Invalid,
        "Two parameters that exclude each other are both supplied."},
    Row{"UnsupportedParameter", 400, Kind::Invalid, "The parameter is unsupported."},
    Row{"UnsupportedHTTPMethod", 405, Kind::Invalid, "This http method is not supported."},
    Row{"InvalidAction.NotFound", 404, Kind::Invalid,
        "Specified api is not found, please check your url and method."},
    Row{"NoSuchVersion", 400, Kind::Invalid, "The specified version does not exist."},
    Row{"InvalidRegionId.NotFound", 404, Kind::Invalid, "The specified RegionId does not exist."},
    Row{"IncompleteSignature", 400, Kind::Denied,
        "The request signature does not conform to Aliyun standards."},
    Row{"SignatureDoesNotMatch", 400, Kind::Denied,
        "The signature we calculated does not match the one you provided. Please refer to the API "
        "reference about authentication for details."},
    Row{"SignatureNonceUsed", 400, Kind::Denied, "Specified signature nonce was used already."},
    Row{"InvalidTimeStamp.Format", 400, Kind::Denied,
        "Specified time stamp or date value is not well formatted."},
    Row{"InvalidTimeStamp.Expired", 400, Kind::Denied,
        "Specified time stamp or date value is expired."},
    Row{"InvalidAccessKeyId.NotFound", 404, Kind::Denied, "Specified access key is not found."},
    Row{"MissingSecurityToken", 400, Kind::Denied, "SecurityToken is mandatory for this action."},
    Row{"InvalidSecurityToken.Malformed", 400, Kind::Denied,
        "Specified SecurityToken is malformed."},
    Row{"InvalidSecurityToken.MismatchWithAccessKey", 400, Kind::Denied,
        "Specified SecurityToken mismatch with the AccessKey."},
    Row{"InvalidSecurityToken.Expired", 400, Kind::Denied, "Specified SecurityToken is expired."},
    Row{"Forbidden.RAM", 403, Kind::Denied,
        "User not authorized to operate on the specified resource, or this API doesn't support "
        "RAM."},
    Row{"Throttling", 400, Kind::Throttled, "Request was denied due to request throttling."},
    Row{"Throttling.User", 400, Kind::Throttled, "Request was denied due to user flow control."},
    Row{"Throttling.Api", 400, Kind::Throttled, "Request was denied due to api flow control."},
    Row{"InternalError", 500, Kind::Unavailable,
        "The request processing has failed due to some unknown error, exception or failure."},
    Row{"ServiceUnavailable", 503, Kind::Unavailable,
        "The request has failed due to a temporary failure of the server."},
    Row{"IdempotentParameterMismatch", 400, Kind::Invalid,
        "The request uses the same client token as a previous, but non-identical request."},
    Row{"IdempotentFailed", 400, Kind::Invalid,
        "The previous request with this client token has failed."},
    Row{"IdempotentProcessing", 403, Kind::Unavailable,
        "The previous idempotent request(s) is still processing."},
    // ENIs.
    Row{"InvalidEniId.NotFound", 404, Kind::NotFound, "The specified EniId is not found."},
    Row{"InvalidEcsId.NotFound", 404, Kind::NotFound, "The specified EcsId is not found."},
    Row{"InvalidInstanceId.NotFound", 404, Kind::NotFound,
        "The specified InstanceId does not exist."},
    Row{"InvalidVSwitchId.NotFound", 404, Kind::Invalid, "The specified VSwitch is not found."},
    Row{"InvalidSecurityGroupId.NotFound", 404, Kind::Invalid,
        "The specified SecurityGroupId is not found."},
    Row{"InvalidVpcId.NotFound", 404, Kind::Invalid, "The specified VpcId is not found."},
    Row{"IncorrectVSwitchStatus", 400, Kind::Unavailable,
        "The current status of virtual switch does not support this operation."},
    Row{"InvalidOperation.InvalidEniState", 400, Kind::Unavailable,
        "The operation is not allowed in the current ENI state."},
    Row{"InvalidOperation.InvalidEcsState", 400, Kind::Unavailable,
        "The operation is not allowed in the current ECS state."},
    Row{"InvalidOperation.DetachPrimaryEniNotAllowed", 400, Kind::Invalid,
        "Detaching primary ENI from ECS instance is not allowed."},
    Row{"InvalidOperation.InvalidEniType", 403, Kind::Invalid,
        "The operation is not allowed in the current ENI type."},
    Row{"InvalidOperation.AvailabilityZoneMismatch", 403, Kind::Invalid,
        "The ENI and the instance are not in the same zone."},
    Row{"InvalidOperation.VpcMismatch", 403, Kind::Invalid,
        "The resources are not in the same VPC."},
    Row{"EniPerInstanceLimitExceeded", 403, Kind::Exhausted,
        "The number of ENIs exceeds the limit of the instance's type."},
    Row{"MaxEniCountExceeded", 403, Kind::Exhausted,
        "The number of ENIs exceeds the quota of the account in this region."},
    Row{"SecurityGroupInstanceLimitExceed", 403, Kind::Exhausted,
        "The number of instances in the security group exceeds the limit."},
    Row{"JoinedGroupLimitExceed", 400, Kind::Invalid,
        "The number of security groups exceeds the limit of an ENI."},
    Row{"Duplicate.TagKey", 400, Kind::Invalid, "The Tag.N.Key contain duplicate key."},
    Row{"InvalidTagKey.Malformed", 400, Kind::Invalid, "The specified Tag.n.Key is not valid."},
    Row{"InvalidTagValue.Malformed", 400, Kind::Invalid, "The specified Tag.n.Value is not valid."},
    Row{"QuotaExceed.Tags", 403, Kind::Invalid, "The number of tags exceeds 20."},
    // Addresses.
    Row{"InvalidVSwitchId.IpNotEnough", 403, Kind::Exhausted,
        "The specified VSwitch does not have enough IP addresses."},
    Row{"QuotaExceeded.PrivateIpAddress", 400, Kind::Exhausted,
        "Don't have enough private IPs in this switch."},
    Row{"InvalidVSwitchId.IpInvalid", 403, Kind::Invalid,
        "The specified IP address is not usable in this VSwitch."},
    Row{"InvalidVSwitch.Ipv6NotTurnOn", 403, Kind::Invalid,
        "IPv6 is not turned on for the VSwitch."},
    Row{"InvalidPrivateIpAddress.Malformed", 400, Kind::Invalid,
        "Specified private IP address is malformed."},
    Row{"InvalidIp.Address", 403, Kind::Invalid, "The specified IPv6 address is not valid."},
    Row{"InvalidIp.IpAssigned", 403, Kind::Exists, "The specified IP is already assigned."},
    Row{"InvalidIp.IpUnassigned", 403, Kind::NotFound, "The specified IP is not assigned."},
    Row{"InvalidIp.IpRepeated", 403, Kind::Invalid, "The specified IP is repeated."},
    Row{"InvalidOperation.Ipv4CountExceeded", 403, Kind::Exhausted,
        "The number of IPv4 addresses exceeds the limit of the instance's type."},
    Row{"InvalidOperation.Ipv6CountExceeded", 403, Kind::Exhausted,
        "The number of IPv6 addresses exceeds the limit of the instance's type."},
    Row{"MaxEniPrivateIpsCountExceeded", 403, Kind::Exhausted,
        "The number of private IP addresses exceeds the limit of an ENI."},
    Row{"MaxEniIpv6IpsCountExceeded", 403, Kind::Exhausted,
        "The number of IPv6 addresses exceeds the limit of an ENI."},
    Row{"Operation.Conflict", 403, Kind::Unavailable,
        "Another operation on the resource is in progress."},
};

const Row* find(std::string_view code) {
  for (const Row& row : kRows) {
    if (row.code == code) return &row;
  }
  return nullptr;
}

}  // namespace

Error api_error(std::string_view code, std::string detail) {
  const Row* row = find(code);
  const Kind kind = row == nullptr ? Kind::Invalid : row->kind;
  if (detail.empty() && row != nullptr) detail = row->sentence;
  return Error(kind, std::move(detail)).with_code(std::string(code), {});
}

int http_status_of_code(std::string_view code) {
  if (code.empty()) return 500;
  const Row* row = find(code);
  return row == nullptr ? 400 : row->status;
}

int http_status_of(const Error& error) { return http_status_of_code(error.code()); }

}  // namespace terway::vpcsim
